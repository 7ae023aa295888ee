"""Softmax over the last axis, one row at a time in registers and cache."""

from __future__ import annotations

from typing import Any

from tvm import s_tir, te, tirx

from builder.compiler.kernels import lanes as lanewise
from builder.compiler.kernels import loops
from builder.compiler.kernels.conv import Compute
from builder.compiler.vector_unit import VectorUnit

ANCHOR = "softmax_out"
LOG2E = 1.4426950408889634
"""exp(x) is exp2(x * LOG2E), which costs less where nobody wants the last digits of large x."""

_LOWEST = -3.0e38


def compute(lanes: int) -> Compute:
    """Return the TE of softmax over the last axis of a float32 tensor of rank two or more.

    The row is cut into vectors, the last one padded, so that maximum and sum run lane by lane and
    are folded across lanes once.
    """

    def of(data: te.Tensor) -> te.Tensor:
        shape = [int(extent) for extent in data.shape]
        *lead, length = shape
        rank, vectors = len(lead), -(-length // lanes)

        def packed(*at: Any) -> Any:
            position = at[rank] * lanes + at[rank + 1]
            value = data[(*at[:rank], position)]
            if length % lanes == 0:
                return value
            return tirx.if_then_else(position < length, value, tirx.const(_LOWEST, "float32"))

        pack = te.compute((*lead, vectors, lanes), packed, name="softmax_pack")
        log2e = tirx.const(LOG2E, "float32")
        i, k = (te.reduce_axis((0, vectors)) for _ in range(2))
        top_lane = te.compute(
            (*lead, lanes),
            lambda *at: te.max(pack[(*at[:rank], i, at[rank])], axis=[i]),
            name="softmax_top_lane",
        )
        top = lanewise.fold(top_lane, tirx.max, "softmax_top")
        powers = te.compute(
            (*lead, vectors, lanes),
            lambda *at: tirx.exp2((pack[at] - top[at[:rank]]) * log2e),
            name="softmax_exp",
        )
        sum_lane = te.compute(
            (*lead, lanes),
            lambda *at: te.sum(powers[(*at[:rank], k, at[rank])], axis=[k]),
            name="softmax_sum_lane",
        )
        total = lanewise.fold(sum_lane, lambda x, y: x + y, "softmax_sum")
        scale = te.compute(
            lead, lambda *at: tirx.const(1.0, "float32") / total[at], name="softmax_scale"
        )
        return te.compute(
            shape,
            lambda *at: (
                powers[(*at[:rank], at[rank] // lanes, at[rank] % lanes)] * scale[at[:rank]]
            ),
            name=ANCHOR,
        )

    return of


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Do everything of a row inside one loop over rows."""
    out = sch.get_sblock(ANCHOR)
    *lead, j = sch.get_loops(out)
    length = loops.extent(sch, j)
    row = sch.fuse(*lead)
    for block in reversed(loops.blocks(sch)[:-1]):
        sch.compute_at(block, row, preserve_unit_loops=True)
        if loops.name(sch, block) not in ("softmax_pack", "softmax_exp"):
            sch.set_scope(block, 0, "local")
    if parallel:
        sch.parallel(row)
    for part in ("top_lane", "sum_lane"):
        loops.reduce_lane_by_lane(sch, sch.get_sblock(f"softmax_{part}"))
    for part in ("exp", "pack"):
        inner = sch.get_loops(sch.get_sblock(f"softmax_{part}"))
        sch.vectorize(inner[-1])
    if length % unit.lanes:
        loops.partition(sch, sch.get_loops(sch.get_sblock("softmax_pack"))[-2])
    else:
        _, lane = sch.split(sch.get_loops(out)[-1], [None, unit.lanes])
        sch.vectorize(lane)
    lanewise.vectorise_halves(sch, row)
