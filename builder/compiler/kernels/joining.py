"""Concatenation part by part: each part is a loop of its own that writes its slice.

As one loop over the result it would choose among the parts for every element, and so would all that
is fused into it. Where slices are whole spans of memory, the plan can have their producers write
them, and there is nothing to copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as builder

from builder.compiler.plan import ALIGNMENT, DATA_TYPES

_INJECTIVE = 2
"""TVM's pattern of an operator that only moves elements: its producers may be fused into it."""

_OPAQUE = 8
"""TVM's pattern of an operator that nothing is fused with."""

_SPANS = "boardwright.joins_spans"


def of_spans(mod: tvm.IRModule) -> frozenset[str]:
    """Return the names of the kernels that only copy their operands one behind the other."""
    return frozenset(
        variable.name_hint
        for variable, function in mod.functions.items()
        if isinstance(function, tirx.PrimFunc) and function.attrs and _SPANS in function.attrs
    )


def are_spans(shapes: Sequence[tuple[int, ...]], axis: int, dtype: str) -> bool:
    """Tell whether parts lie in the whole as spans of memory that begin aligned."""
    if any(extent != 1 for extent in shapes[0][:axis]):
        return False
    sizes = [math.prod(shape) * DATA_TYPES[dtype].size_bytes for shape in shapes]
    return not any(size % ALIGNMENT for size in sizes[:-1])


def concatenation(
    shapes: Sequence[tuple[int, ...]], axis: int, dtype: str, *, in_place: bool
) -> tirx.PrimFunc:
    """Return the kernel that joins parts of the given shapes along ``axis``.

    ``in_place`` asks the plan to do without it: nothing is fused with it then.
    """
    extents = list(shapes[0])
    extents[axis] = sum(shape[axis] for shape in shapes)
    with IRBuilder() as writer, builder.prim_func(s_tir=True):
        pattern = _OPAQUE if in_place else _INJECTIVE
        builder.func_attr({"op_pattern": pattern, "tirx.noalias": True})
        if in_place:
            builder.func_attr({_SPANS: True})
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
