"""Folding a vector across its lanes by halves.

One lane after the other waits for the last addition each time: sixteen lanes cost sixteen
latencies. By halves they cost four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import s_tir, te

from builder.compiler.kernels import loops


def fold(values: te.Tensor, combine: Callable[[Any, Any], Any], name: str) -> te.Tensor:
    """Return the TE that combines the last axis, a power of two: ``name``, of one rank less."""
    *lead, width = (int(extent) for extent in values.shape)
    while width > 2:
        width //= 2
        values = _half(values, combine, (*lead, width), f"{name}_of_{width}")
    return te.compute(lead, lambda *at: combine(values[(*at, 0)], values[(*at, 1)]), name=name)


def _half(
    values: te.Tensor, combine: Callable[[Any, Any], Any], shape: tuple[int, ...], name: str
) -> te.Tensor:
    half = shape[-1]
    return te.compute(
        shape,
        lambda *at: combine(values[at], values[(*at[:-1], at[-1] + half)]),
        name=name,
    )


def vectorise_halves(schedule: s_tir.Schedule, around: loops.Loop) -> None:
    """Vectorise the steps of every ``fold`` inside a loop."""
    for block in schedule.get_child_blocks(around):
        if "_of_" in loops.name(schedule, block):
            schedule.vectorize(schedule.get_loops(block)[-1])
