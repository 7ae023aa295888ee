"""Matrix products with packed weights, and batched products of two activations.

Weights are packed in panels [N/panel, K, panel], so that a step of the reduction loads one row of a
panel and broadcasts one element a row of the tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import s_tir, te, tirx

from builder.compiler.kernels import by_lane, loops, tiles
from builder.compiler.kernels.choice import Choice, Tile
from builder.compiler.kernels.conv import Compute, round_up
from builder.compiler.vector_unit import VectorUnit

ANCHOR = "matmul_sum"
PACK = "matmul_pack"

_PAGE_BYTES = 4096
_ROWS_OF_A_SET = 8
_MANY_ROWS = 1 << 30


def panel(columns: int, block: int) -> int:
    """Return the width of a panel for a product of ``columns`` columns: one or two blocks."""
    fits = round_up(columns, 2 * block) == round_up(columns, block)
    return 2 * block if fits else block


def pack_weights(weights: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Pack [K, N] as [ceil(N/width), K, width], the last panel filled with zeros."""
    depth, columns = weights.shape
    full = np.zeros((depth, round_up(columns, width)), weights.dtype)
    full[:, :columns] = weights
    return np.ascontiguousarray(full.reshape(depth, -1, width).transpose(1, 0, 2))


def compute_packed(columns: int) -> Compute:
    """Return the TE of [..., M, K] times packed [P, K, width]: [..., M, columns].

    Batches of one row each are the rows of one product.
    """

    def of(data: te.Tensor, weights: te.Tensor) -> te.Tensor:
        panels, depth, width = (int(extent) for extent in weights.shape)
        lead = tuple(int(extent) for extent in data.shape[:-1])
        batch = rows_axis(lead)
        runs = lead if batch is None else (lead[batch],)
        k = te.reduce_axis((0, depth), name="k")

        def element(*at: Any) -> Any:
            *row, column = at
            if batch is not None:
                row = [0] * batch + row + [0] * (len(lead) - batch - 1)
            return te.sum(data[(*row, k)] * weights[column // width, k, column % width], axis=[k])

        full = te.compute((*runs, panels * width), element, name=ANCHOR)
        if panels * width == columns and batch is None:
            return full

        def trimmed(*at: Any) -> Any:
            return full[at] if batch is None else full[at[batch], at[-1]]

        return te.compute((*lead, columns), trimmed, name="matmul_trim")

    return of


def rows_axis(lead: Sequence[int]) -> int | None:
    """Return the axis that holds all rows where each batch has but one; None for the last axis."""
    long = [axis for axis, extent in enumerate(lead) if extent > 1]
    return long[0] if len(long) == 1 and long[0] != len(lead) - 1 else None


def compute_batched(width: int) -> Compute:
    """Return the TE of [..., M, K] times [..., K, N], the right side packed on the way in."""

    def of(left: te.Tensor, right: te.Tensor) -> te.Tensor:
        lead = tuple(int(extent) for extent in left.shape[:-2])
        rows, depth = (int(extent) for extent in left.shape[-2:])
        columns = int(right.shape[-1])
        panels = -(-columns // width)
        batch = len(lead)

        def packed(*at: Any) -> Any:
            column = at[-3] * width + at[-1]
            value = right[(*at[:batch], at[-2], column)]
            if columns % width == 0:
                return value
            return tirx.if_then_else(column < columns, value, tirx.const(0.0, right.dtype))

        pack = te.compute((*lead, panels, depth, width), packed, name=PACK)
        k = te.reduce_axis((0, depth), name="k")

        def element(*at: Any) -> Any:
            column = at[-1]
            read = pack[(*at[:batch], column // width, k, column % width)]
            return te.sum(left[(*at[:-1], k)] * read, axis=[k])

        full = te.compute((*lead, rows, panels * width), element, name=ANCHOR)
        if panels * width == columns:
            return full
        return te.compute((*lead, rows, columns), lambda *at: full[at], name="matmul_trim")

    return of


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, choice: Choice) -> None:
    """Sum a tile of rows by one panel in registers; panels outermost, to stay in cache."""
    main, last, before = loops.fold_epilogue(sch, ANCHOR)
    for block in before:
        loops.vectorise_last(sch, block, unit.lanes)
    *lead, m, n = sch.get_loops(last)
    if len(sch.get(main).writes[0].source.shape) == 2:
        lead, m = [], sch.fuse(*lead, m)  # batches of one row each
    rows, columns = loops.extent(sch, m), loops.extent(sch, n)
    width = _panel_width(sch, main)
    vectors = min(2, width // unit.lanes)
    limit = min(row_limit(unit, vectors), _rows_in_cache(sch, main))
    heavy = rows > 1 and loops.is_heavy(sch, last)
    lanes = by_lane.suits(sch, main, unit)
    (tile,) = choice.pick(_row_tiles(rows, limit, whole=heavy or lanes))
    inputs = by_lane.inputs_apart(sch, main) if lanes and rows % tile == 0 else None
    no, part, ni, nv = sch.split(n, [None, width // unit.lanes // vectors, vectors, unit.lanes])
    mo, mi = sch.split(m, [None, tile])
    sch.reorder(*lead, no, part, mo, mi, ni, nv)
    sch.compute_at(main, mo, preserve_unit_loops=True)
    sch.set_scope(main, 0, "local")
    inside = sch.get_loops(main)[len(lead) + 3 :]
    *spatial, k = inside
    across, lane = sch.split(spatial[-1], [None, unit.lanes])
    sch.reorder(k, *spatial[:-1], across, lane)
    sch.vectorize(lane)
    loops.unroll_all(sch, [*spatial[:-1], across])
    if inputs is not None:
        k = by_lane.load(sch, inputs, k)
    elif rows == 1 and loops.extent(sch, k) % 4 == 0:
        k, few = sch.split(k, [None, 4])
        sch.unroll(few)
    heavy = heavy and rows % tile == 0
    if heavy:
        loops.spill_sums(sch, main, last, len(lead) + 3, unit.lanes)
    depth = len(lead) + 3
    batch = math.prod(loops.extent(sch, loop) for loop in lead)
    if parallel and columns % width and batch > 1:
        sch.parallel(sch.fuse(*lead))  # the panels' loop must stay, to be cut
        depth = 4
    elif parallel:
        no = sch.fuse(*lead, no)
        sch.parallel(no)
        depth = 3
    start = sch.decompose_reduction(main, k)
    sch.vectorize(nv)
    if rows % tile:
        loops.partition(sch, mo)
    if columns % width:
        loops.partition(sch, no)
    if not heavy:
        loops.unroll_all(sch, [mi, ni])
    zeroing = sch.get_loops(start)[depth:]
    loops.unroll_all(sch, zeroing[:-1])
    sch.vectorize(zeroing[-1])


def _row_tiles(rows: int, limit: int, *, whole: bool) -> list[Tile]:
    """Return the tiles to choose from, one that leaves no rest first where that is best."""
    ranked = tiles.row_tiles(rows, limit)
    best = tiles.whole_row_tile(rows, limit) if whole else None
    return ranked if best is None else [(best,), *(tile for tile in ranked if tile != (best,))]


def _panel_width(sch: s_tir.Schedule, main: loops.Block) -> int:
    """Return the panel's width: the last extent of the packed operand, which is read second."""
    packed = sch.get(main).reads[1].source
    return int(packed.shape[-1])


def row_limit(unit: VectorUnit, vectors: int) -> int:
    """Return the most rows of a tile of ``vectors`` columns.

    Its loads are few, so it may use more registers for sums than an image's. Where inputs stay in
    registers half are for sums; in-order cores want some to load ahead into.
    """
    if unit.by_lane:
        beside_inputs = (unit.registers - 2 * vectors) // (vectors + 1)
        return min(unit.registers // 2 // vectors, beside_inputs)
    share = 5 / 8 if unit.core.in_order else 3 / 4
    return int(unit.registers * share) // vectors


def _rows_in_cache(sch: s_tir.Schedule, main: loops.Block) -> int:
    """Return how many rows of the left operand can be walked side by side.

    Rows that lie whole pages apart share the sets of a first-level cache and drive each other out.
    """
    row_bytes = 4 * int(sch.get(main).reads[0].source.shape[-1])
    return _ROWS_OF_A_SET if row_bytes % _PAGE_BYTES == 0 else _MANY_ROWS
