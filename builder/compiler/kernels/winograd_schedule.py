"""How Winograd convolutions are scheduled: bands of tiles that stay in cache."""

from __future__ import annotations

from tvm import s_tir

from builder.compiler.kernels import by_lane, loops, matmul, tiles, winograd
from builder.compiler.kernels.conv import round_up
from builder.compiler.vector_unit import VectorUnit

_AROUND = 4
"""Loops around a panel's products: image, band down, band across, panel."""

_FEW_TILES = 4
"""Fewer at once do not pay for the loads of two vectors of weights."""

_IN_TILE = 4
"""Loops of a register tile: channel blocks, tiles, vectors, lanes."""


def schedule_in(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Transform the input alone: images of a single band, whose products are split by panel."""
    points = sch.get_sblock(winograd.ANCHOR_IN)
    band, channel = sch.get_loops(points)[:2]
    _transform_in(sch, unit)
    if parallel:
        sch.parallel(sch.fuse(band, channel))


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Transform a band, multiply and transform back panel by panel, write through the epilogue."""
    inner = (winograd.PAD, winograd.HALF_IN, winograd.ANCHOR_IN, winograd.HALF_OUT)
    named = {*inner, winograd.ANCHOR, winograd.TILE_OUT}
    found = {loops.name(sch, block): block for block in loops.blocks(sch)}
    after = [block for name, block in found.items() if name not in named]
    for block in after[:-1]:
        sch.compute_inline(block)
    main, last = found[winograd.ANCHOR], after[-1]
    together = _panel_blocks(sch, main)
    size = loops.extent(sch, sch.get_loops(found[winograd.TILE_OUT])[3])
    tall, wide = _band_of(sch, last, size)
    copy = sch.cache_write(main, 0, "local")
    n, o, y, x, v = sch.get_loops(last)
    panel, block = sch.split(o, [None, together])
    down, ty, yi = sch.split(y, [None, tall // size, size])
    across, tx, xi = sch.split(x, [None, wide // size, size])
    vo, vi = loops.vectors(sch, v, unit.lanes)
    sch.reorder(n, down, across, panel, block, ty, tx, vo, yi, xi, vi)
    for name in (winograd.TILE_OUT, winograd.HALF_OUT):
        sch.compute_at(found[name], vo, preserve_unit_loops=True)
        sch.set_scope(found[name], 0, "local")
        inside = sch.get_loops(found[name])[_AROUND + 4 :]
        loops.unroll_all(sch, inside[:-1])
        sch.vectorize(inside[-1])
    sch.compute_at(copy, panel, preserve_unit_loops=True)
    first = _multiply(sch, main, copy, unit)
    banded = winograd.ANCHOR_IN in found
    if banded:
        sch.compute_at(found[winograd.ANCHOR_IN], across, preserve_unit_loops=True)
        _transform_in(sch, unit)
    if parallel:
        sch.parallel(sch.fuse(down, across) if banded else panel)
    loops.unroll_all(sch, [yi, xi])
    sch.vectorize(vi)
    # Everything that touches the sums comes before the split of their initialisation.
    start = sch.decompose_reduction(main, first)
    zeroing = sch.get_loops(start)[len(sch.get_loops(copy)) - _IN_TILE :]
    loops.unroll_all(sch, zeroing[:-1])
    sch.vectorize(zeroing[-1])


def _transform_in(sch: s_tir.Schedule, unit: VectorUnit) -> None:
    """Pad a channel block, then transform it tile by tile, all points of a tile in registers."""
    points, half = sch.get_sblock(winograd.ANCHOR_IN), sch.get_sblock(winograd.HALF_IN)
    pad = sch.get_sblock(winograd.PAD)
    c, i, j, t, v = sch.get_loops(points)[-5:]
    vo, vi = loops.vectors(sch, v, unit.lanes)
    sch.reorder(c, t, vo, i, j, vi)
    sch.compute_at(half, vo, preserve_unit_loops=True)
    sch.set_scope(half, 0, "local")
    sch.compute_at(pad, c, preserve_unit_loops=True)
    loops.vectorise_last(sch, pad, unit.lanes)
    inside = sch.get_loops(half)[-6:]
    loops.unroll_all(sch, inside[:-1])
    sch.vectorize(inside[-1])
    loops.unroll_all(sch, [i, j])
    sch.vectorize(vi)


def _multiply(
    sch: s_tir.Schedule, main: loops.Block, copy: loops.Block, unit: VectorUnit
) -> loops.Loop:
    """Sum a few tiles by one or two vectors of outputs in registers; return the outermost sum."""
    b, o, i, j, t, v = sch.get_loops(copy)[_AROUND:]
    registers = loops.extent(sch, v) // unit.lanes
    blocks = min(loops.extent(sch, o), max(1, 2 // registers))
    vectors = min(2, registers)
    available = loops.extent(sch, t)
    tile = _most_tiles(available, matmul.row_limit(unit, blocks * vectors))
    if tile < _FEW_TILES:
        blocks = vectors = 1
        tile = _most_tiles(available, matmul.row_limit(unit, 1))
    oo, oi = sch.split(o, [None, blocks])
    to, ti = sch.split(t, [None, tile])
    part, ni, nv = sch.split(v, [None, vectors, unit.lanes])
    inputs = by_lane.inputs_apart(sch, main) if by_lane.suits(sch, main, unit) else None
    sch.reorder(b, i, j, oo, part, to, oi, ti, ni, nv)
    sch.compute_at(main, to, preserve_unit_loops=True)
    inside = sch.get_loops(main)[_AROUND + 6 :]
    image, out, row, column, step, vector, *reduced = inside
    across, lane = loops.vectors(sch, vector, unit.lanes)
    # Tiles outside: the few vectors of weights stay in registers, inputs are broadcast one by one.
    sch.reorder(*reduced, image, row, column, step, out, across, lane)
    if inputs is not None:
        reduced[-1] = by_lane.load(sch, inputs, reduced[-1])
    elif unit.one_step_at_a_time:
        reduced = [sch.fuse(*reduced)]
    sch.vectorize(lane)
    loops.unroll_all(sch, [image, row, column, step, out, across])
    loops.unroll_all(sch, [oi, ti, ni])
    sch.vectorize(nv)
    return reduced[0]


def _most_tiles(available: int, limit: int) -> int:
    return max(each for each in tiles.divisors(available) if each <= limit)


def _panel_blocks(sch: s_tir.Schedule, main: loops.Block) -> int:
    """Return how many channel blocks a panel of weights has."""
    region = sch.get(main)
    weights, sums = region.reads[1].source, region.writes[0].source
    return int(weights.shape[-1]) // int(sums.shape[-1])


def _band_of(sch: s_tir.Schedule, last: loops.Block, size: int) -> tuple[int, int]:
    """Return the rows and columns of the output that a band covers: two less than it reads."""
    for block in loops.blocks(sch):
        if loops.name(sch, block) == winograd.PAD:
            tall, wide = (loops.extent(sch, loop) for loop in sch.get_loops(block)[2:4])
            return tall - 2, wide - 2
    height, width = (loops.extent(sch, loop) for loop in sch.get_loops(last)[2:4])
    return round_up(height, size), round_up(width, size)
