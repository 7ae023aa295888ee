"""The schedule of everything without a family: inline what can be, vectorise what divides."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tvm import s_tir
from tvm.s_tir.schedule import ScheduleError

from builder.compiler.kernels import loops
from builder.compiler.vector_unit import VectorUnit

_KEPT = "pad"
"""Padding is worth its own buffer: inlined, its conditions would land in the innermost loop."""

_INTO_BLOCKS = "block"
"""What ``blocking.forms`` calls the move into channel blocks; a channel shuffle ends with one."""


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Inline elementwise producers, then vectorise and split over cores block by block."""
    found = loops.blocks(sch)
    writers = Counter(_written(sch, block) for block in found)
    for block in found[:-1]:
        shared = writers[_written(sch, block)] > 1  # parts of a concatenation
        if not (shared or loops.is_reduction(sch, block) or _KEPT in loops.name(sch, block)):
            _inline(sch, block)
    for block in loops.blocks(sch):
        if not sch.get_loops(block):
            continue
        if loops.is_reduction(sch, block):
            _reduction(sch, block, unit, parallel)
        elif loops.name(sch, block) == _INTO_BLOCKS:
            _into_blocks(sch, block, parallel)
        else:
            _elementwise(sch, block, unit, parallel)


def _written(sch: s_tir.Schedule, block: loops.Block) -> Any:
    """Return what tells the buffer that a block writes from others."""
    return sch.get(block).writes[0].source.data


def _inline(sch: s_tir.Schedule, block: loops.Block) -> None:
    try:
        sch.compute_inline(block)
    except ScheduleError:
        return  # read in a way that cannot be inlined: it keeps its buffer


def _elementwise(sch: s_tir.Schedule, block: loops.Block, unit: VectorUnit, parallel: bool) -> None:
    *outer, innermost = sch.get_loops(block)
    length = loops.extent(sch, innermost)
    if parallel and outer:
        sch.parallel(sch.fuse(*outer))
    if length % unit.lanes:
        return  # LLVM vectorises what is left, with a scalar tail
    _, lane = sch.split(innermost, [None, unit.lanes])
    sch.vectorize(lane)


def _into_blocks(sch: s_tir.Schedule, block: loops.Block, parallel: bool) -> None:
    """Move a row of one channel at a time: where it comes from is worked out once a row."""
    n, c, y, x, v = sch.get_loops(block)
    sch.reorder(n, c, y, v, x)
    if parallel:
        sch.parallel(sch.fuse(n, c))


def _reduction(sch: s_tir.Schedule, block: loops.Block, unit: VectorUnit, parallel: bool) -> None:
    """Vectorise over the innermost output axis, which reductions leave contiguous."""
    nest = sch.get_loops(block)
    count = loops.reduction_count(sch, block)
    axes = len(sch.get(block).iter_vars)
    if len(nest) != axes or axes == count:
        return
    spatial, reduced = nest[:-count], nest[-count:]
    if loops.extent(sch, spatial[-1]) % unit.lanes:
        return
    outer, lane = sch.split(spatial[-1], [None, unit.lanes])
    kept = [*spatial[:-1], outer]
    sch.reorder(*kept, *reduced, lane)
    if parallel:
        kept = [sch.fuse(*kept)]
        sch.parallel(kept[0])
    sch.vectorize(lane)
    start = sch.decompose_reduction(block, reduced[0])
    sch.vectorize(sch.get_loops(start)[-1])
