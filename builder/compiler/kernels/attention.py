"""Attention in one kernel: softmax(Q K^T * scale + biases) V, a tile of query rows at a time.

The scores of a tile never leave the cache. Keys and values are packed in panels first, so the
operands may lie anywhere: transposes and slices before them are part of the reading, and the
transpose after the product is part of the writing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import s_tir, te, tirx

from builder.compiler.kernels import by_lane, loops, matmul, tiles
from builder.compiler.kernels import lanes as lanewise
from builder.compiler.kernels.conv import Compute, round_up
from builder.compiler.kernels.softmax import LOG2E
from builder.compiler.vector_unit import VectorUnit

ANCHOR = "attention_sum"

ROWS = 8
"""Query rows of a tile, and what their number is rounded up to."""

Index = tuple[Any, ...]
Read = Callable[[te.Tensor, Index], Any]
"""How an element of an operand, or of a bias, is read from the tensor it comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One attention: queries [*lead, rows, depth], keys [*lead, depth, keys], and
    values [*lead, keys, columns], each read through its function of ``reads``.

    A bias is read at [*lead, rows, keys]. ``order`` gives, for each axis of the result, which axis
    of [*lead, rows, columns] it is.
    """

    lead: tuple[int, ...]
    rows: int
    depth: int
    keys: int
    columns: int
    scale: float
    reads: tuple[Read, ...]
    biases_at: tuple[Read, ...]
    order: tuple[int, ...]

    @property
    def result(self) -> tuple[int, ...]:
        """The shape of the result."""
        shape = (*self.lead, self.rows, self.columns)
        return tuple(shape[axis] for axis in self.order)


def compute(one: Attention, block: int) -> Compute:
    """Return the TE of an attention over (queries, keys, values, *biases).

    Biases are added to the scores; each is read up to ``padded_keys``, and where that is more than
    the keys there are, one of them must be -inf there.
    """

    def of(*operands: te.Tensor) -> te.Tensor:
        queries, keys, values, *biases = operands
        scores = _scores(one, queries, keys, block)
        powers, scale = _softmax(one, scores, biases, block)
        return _result(one, powers, scale, values, block)

    return of


def padded_keys(keys: int, block: int) -> int:
    """Return how many scores a row has: whole panels of keys."""
    return round_up(keys, matmul.panel(keys, block))


def _scores(one: Attention, queries: te.Tensor, keys: te.Tensor, block: int) -> te.Tensor:
    rank, width = len(one.lead), matmul.panel(one.keys, block)
    padded = padded_keys(one.keys, block)
    rows = round_up(one.rows, min(ROWS, one.rows))

    def query(*at: Any) -> Any:
        row = at[rank] if rows == one.rows else tirx.min(at[rank], one.rows - 1)
        value = one.reads[0](queries, (*at[:rank], row, at[rank + 1]))
        return value * tirx.const(one.scale * LOG2E, "float32")

    def key(*at: Any) -> Any:
        position = at[rank] * width + at[rank + 2]
        value = one.reads[1](keys, (*at[:rank], at[rank + 1], position))
        if padded == one.keys:
            return value
        return tirx.if_then_else(position < one.keys, value, tirx.const(0.0, "float32"))

    tile = te.compute((*one.lead, rows, one.depth), query, name="attention_queries")
    shape = (*one.lead, padded // width, one.depth, width)
    packed = te.compute(shape, key, name="attention_keys")
    d = te.reduce_axis((0, one.depth), name="d")

    def score(*at: Any) -> Any:
        *row, t = at
        return te.sum(tile[(*row, d)] * packed[(*at[:rank], t // width, d, t % width)], axis=[d])

    return te.compute((*one.lead, rows, padded), score, name="attention_scores")


def _softmax(
    one: Attention, scores: te.Tensor, biases: Sequence[te.Tensor], block: int
) -> tuple[te.Tensor, te.Tensor]:
    """Return the powers of the scores, [*lead, rows, vectors, block], and one over their sums.

    Scores and biases come times log2(e), and so are powers of two.
    """
    *lead, rows, padded = (int(extent) for extent in scores.shape)
    rank, vectors = len(lead), padded // block

    def logit(*at: Any) -> Any:
        t = at[-2] * block + at[-1]
        value = scores[(*at[:-2], t)]
        row = at[rank] if rows == one.rows else tirx.min(at[rank], one.rows - 1)
        for bias, read in zip(biases, one.biases_at, strict=True):
            value = value + read(bias, (*at[:rank], row, t)) * tirx.const(LOG2E, "float32")
        return value

    i, k = (te.reduce_axis((0, vectors)) for _ in range(2))
    logits = te.compute((*lead, rows, vectors, block), logit, name="attention_logits")
    top_lane = te.compute(
        (*lead, rows, block),
        lambda *at: te.max(logits[(*at[:-1], i, at[-1])], axis=[i]),
        name="attention_top_lane",
    )
    top = lanewise.fold(top_lane, tirx.max, "attention_top")
    powers = te.compute(
        (*lead, rows, vectors, block),
        lambda *at: tirx.exp2(logits[at] - top[at[:-2]]),
        name="attention_powers",
    )
    sum_lane = te.compute(
        (*lead, rows, block),
        lambda *at: te.sum(powers[(*at[:-1], k, at[-1])], axis=[k]),
        name="attention_total_lane",
    )
    total = lanewise.fold(sum_lane, lambda x, y: x + y, "attention_total")
    one_over = te.compute(
        (*lead, rows), lambda *at: tirx.const(1.0, "float32") / total[at], name="attention_scale"
    )
    return powers, one_over


def _result(
    one: Attention, powers: te.Tensor, scale: te.Tensor, values: te.Tensor, block: int
) -> te.Tensor:
    rank, width = len(one.lead), matmul.panel(one.columns, block)
    panels = -(-one.columns // width)
    rows = int(powers.shape[rank])

    def value(*at: Any) -> Any:
        column = at[rank] * width + at[rank + 2]
        element = one.reads[2](values, (*at[:rank], at[rank + 1], column))
        if panels * width == one.columns:
            return element
        return tirx.if_then_else(column < one.columns, element, tirx.const(0.0, "float32"))

    packed = te.compute((*one.lead, panels, one.keys, width), value, name="attention_values")
    t = te.reduce_axis((0, one.keys), name="t")

    def weighed(*at: Any) -> Any:
        power = powers[(*at[:-1], t // block, t % block)]
        return te.sum(power * packed[(*at[:rank], at[-1] // width, t, at[-1] % width)], axis=[t])

    sums = te.compute((*one.lead, rows, panels * width), weighed, name=ANCHOR)

    tile = te.compute(sums.shape, lambda *at: sums[at] * scale[at[:-1]], name="attention_scaled")
    natural = [one.order.index(axis) for axis in range(rank + 2)]
    return te.compute(
        one.result, lambda *at: tile[tuple(at[axis] for axis in natural)], name="attention_out"
    )


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Do everything of a tile of rows inside one loop over heads and tiles."""
    sch.compute_inline(sch.get_sblock("attention_logits"))
    packs = [sch.get_sblock("attention_keys"), sch.get_sblock("attention_values")]
    anchors = [sch.get_sblock("attention_scores"), sch.get_sblock(ANCHOR)]
    inputs = [
        by_lane.inputs_apart(sch, anchor) if by_lane.suits(sch, anchor, unit) else None
        for anchor in anchors
    ]
    copies = [sch.cache_write(anchors[0], 0, "local"), sch.get_sblock("attention_scaled")]
    *lead, row, _ = sch.get_loops(copies[1])
    outer, _ = sch.split(row, [None, min(ROWS, loops.extent(sch, row))])
    for block in reversed(loops.blocks(sch)):
        if loops.name(sch, block) not in _ELSEWHERE:
            sch.compute_at(block, outer, preserve_unit_loops=True)
            sch.set_scope(block, 0, "local")
    sch.set_scope(copies[1], 0, "local")
    sch.reverse_compute_at(sch.get_sblock("attention_out"), outer)
    around = sch.fuse(*lead, outer)
    if parallel:
        sch.parallel(around)
    for anchor, apart, copy in zip(anchors, inputs, copies, strict=True):
        _product(sch, anchor, apart, copy, unit)
    _rows(sch, around, unit)
    for block in packs:
        _pack(sch, block, parallel)


_ELSEWHERE = frozenset({"attention_keys", "attention_values", "attention_scaled", "attention_out"})
"""Blocks that are not put inside a tile of rows, or were there from the beginning."""


def _product(
    sch: s_tir.Schedule,
    main: loops.Block,
    inputs: loops.Block | None,
    copy: loops.Block,
    unit: VectorUnit,
) -> None:
    """Sum a few rows by one panel in registers."""
    *around, m, n = sch.get_loops(copy)
    depth = len(around)
    width = int(sch.get(main).reads[1].source.shape[-1])
    vectors = min(2, width // unit.lanes)
    tile = tiles.whole_row_tile(loops.extent(sch, m), matmul.row_limit(unit, vectors)) or 1
    no, part, ni, nv = sch.split(n, [None, width // unit.lanes // vectors, vectors, unit.lanes])
    mo, mi = sch.split(m, [None, tile])
    sch.reorder(no, part, mo, mi, ni, nv)
    sch.compute_at(main, mo, preserve_unit_loops=True)
    *spatial, k = sch.get_loops(main)[depth + 3 :]
    across, lane = sch.split(spatial[-1], [None, unit.lanes])
    sch.reorder(k, *spatial[:-1], across, lane)
    sch.vectorize(lane)
    loops.unroll_all(sch, [*spatial[:-1], across])
    if inputs is not None:
        k = by_lane.load(sch, inputs, k)
    start = sch.decompose_reduction(main, k)
    zeroing = sch.get_loops(start)[depth + 3 :]
    loops.unroll_all(sch, zeroing[:-1])
    sch.vectorize(zeroing[-1])
    loops.unroll_all(sch, [mi, ni])
    sch.vectorize(nv)


def _rows(sch: s_tir.Schedule, outer: loops.Loop, unit: VectorUnit) -> None:
    """Schedule what is done to the rows between and after the products."""
    for part in ("top_lane", "total_lane"):
        loops.reduce_lane_by_lane(sch, sch.get_sblock(f"attention_{part}"))
    sch.vectorize(sch.get_loops(sch.get_sblock("attention_powers"))[-1])
    for part in ("queries", "out"):
        loops.vectorise_last(sch, sch.get_sblock(f"attention_{part}"), unit.lanes)
    lanewise.vectorise_halves(sch, outer)


def _pack(sch: s_tir.Schedule, block: loops.Block, parallel: bool) -> None:
    *lead, _, lane = sch.get_loops(block)
    sch.vectorize(lane)
    if parallel:
        sch.parallel(sch.fuse(*lead))
