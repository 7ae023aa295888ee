"""The schedule of everything without a family: inline what can be, vectorise what divides."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tvm import s_tir, sym
from tvm.s_tir.schedule import ScheduleError

from builder.compiler.kernels import loops
from builder.compiler.vector_unit import VectorUnit

_KEPT = "pad"
"""Padding is worth its own buffer: inlined, its conditions would land in the innermost loop."""

_INTO_BLOCKS = "block"
"""What ``blocking.forms`` calls the move into channel blocks; a channel shuffle ends with one."""

_FEW = 4
"""Elements that are added up one after the other in the end."""


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
    """Vectorise along what is reduced where that lies side by side, else over the results."""
    nest = sch.get_loops(block)
    count = loops.reduction_count(sch, block)
    if len(nest) != len(sch.get(block).iter_vars):
        return
    spatial, reduced = nest[: len(nest) - count], nest[-count:]
    if _reduces_neighbours(sch, block):
        _along_rows(sch, block, spatial, sch.fuse(*reduced), unit, parallel)
    elif spatial and loops.extent(sch, spatial[-1]) % unit.lanes == 0:
        _over_results(sch, block, spatial, reduced, unit, parallel)


def _reduces_neighbours(sch: s_tir.Schedule, block: loops.Block) -> bool:
    """Tell whether elements side by side in memory come to one result."""
    innermost = sch.get(block).iter_vars[-1].var
    steps = (
        sym.detect_linear_equation(region.region[-1].min, [innermost])
        for region in sch.get(block).reads
    )
    return any(len(step) > 0 and step[0] == 1 for step in steps)


def _along_rows(
    sch: s_tir.Schedule,
    block: loops.Block,
    spatial: list[loops.Loop],
    row: loops.Loop,
    unit: VectorUnit,
    parallel: bool,
) -> None:
    """Reduce a row to a few vectors, these to a few elements, those to the result."""
    length = loops.extent(sch, row)
    widths = (4 * unit.lanes, unit.lanes, _FEW)
    width = next((each for each in widths if length % each == 0 and length > each), None)
    if width is None:
        return
    if parallel and spatial:
        spatial = [sch.fuse(*spatial)]
        sch.parallel(spatial[0])
    partial = []
    for each in sorted({width, _FEW}, reverse=True):
        _, left = sch.split(sch.get_loops(block)[-1], [None, each])
        try:
            partial.append(sch.rfactor(left, len(sch.get(block).writes[0].source.shape)))
        except ScheduleError:
            return  # TVM puts partial results together for sums and few other reducers of its own
    for part in reversed(partial):
        _vectorise_partial(sch, part, spatial, unit)


def _vectorise_partial(
    sch: s_tir.Schedule, partial: loops.Block, spatial: list[loops.Loop], unit: VectorUnit
) -> None:
    """Put what a row is reduced to first inside the loop over rows, as vectors."""
    if spatial:
        sch.compute_at(partial, spatial[-1], preserve_unit_loops=True)
        sch.set_scope(partial, 0, "local")
    across, *units, along = sch.get_loops(partial)[len(spatial) :]
    sch.reorder(along, *units, across)
    lanes = min(loops.extent(sch, across), unit.lanes)
    vector, lane = loops.vectors(sch, across, lanes)
    sch.unroll(vector)
    sch.vectorize(lane)
    start = sch.decompose_reduction(partial, along)
    sch.vectorize(sch.get_loops(start)[-1])


def _over_results(
    sch: s_tir.Schedule,
    block: loops.Block,
    spatial: list[loops.Loop],
    reduced: list[loops.Loop],
    unit: VectorUnit,
    parallel: bool,
) -> None:
    """Reduce a vector of results at once, which what is reduced leaves side by side."""
    outer, lane = sch.split(spatial[-1], [None, unit.lanes])
    kept = [*spatial[:-1], outer]
    sch.reorder(*kept, *reduced, lane)
    if parallel:
        kept = [sch.fuse(*kept)]
        sch.parallel(kept[0])
    sch.vectorize(lane)
    start = sch.decompose_reduction(block, reduced[0])
    sch.vectorize(sch.get_loops(start)[-1])
