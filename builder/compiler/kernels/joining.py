"""Concatenation part by part: each part is a loop of its own that writes its slice.

As one loop over the result it would choose among the parts for every element, and so would all that
is fused into it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as builder

_INJECTIVE = 2
"""TVM's pattern of an operator that only moves elements: its producers may be fused into it."""


def concatenation(shapes: Sequence[tuple[int, ...]], axis: int, dtype: str) -> tirx.PrimFunc:
    """Return the kernel that joins parts of the given shapes along ``axis``."""
    extents = list(shapes[0])
    extents[axis] = sum(shape[axis] for shape in shapes)
    with IRBuilder() as writer, builder.prim_func(s_tir=True):
        builder.func_attr({"op_pattern": _INJECTIVE, "tirx.noalias": True})
        parts = [
            builder.arg(f"part{number}", builder.buffer(_wide(shape), dtype))
            for number, shape in enumerate(shapes)
        ]
        whole = builder.arg("whole", builder.buffer(_wide(extents), dtype))
        start = 0
        for number, (part, shape) in enumerate(zip(parts, shapes, strict=True)):
            _copy(part, whole, shape, axis, start, f"concat_{number}")
            start += shape[axis]
    return writer.get()


def _copy(
    part: tirx.Buffer,
    whole: tirx.Buffer,
    shape: tuple[int, ...],
    axis: int,
    start: int,
    name: str,
) -> None:
    with builder.grid(*_wide(shape)) as loops, builder.sblock(name):
        nest = loops if isinstance(loops, Sequence) else [loops]
        at = [builder.axis.spatial(n, loop) for n, loop in zip(_wide(shape), nest, strict=True)]
        to = [index + start if number == axis else index for number, index in enumerate(at)]
        builder.reads(part[tuple(at)])
        builder.writes(whole[tuple(to)])
        builder.buffer_store(whole, part[tuple(at)], to)


def _wide(shape: Sequence[int]) -> list[tirx.IntImm]:
    """Return extents in the type that Relax gives them."""
    return [tirx.IntImm("int64", extent) for extent in shape]
