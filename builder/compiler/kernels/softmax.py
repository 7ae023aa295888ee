"""Softmax over the last axis, one row at a time in registers and cache."""

from __future__ import annotations

from typing import Any

from tvm import s_tir, te, tirx

from builder.compiler.kernels import loops
from builder.compiler.kernels.conv import Compute
from builder.compiler.vector_unit import VectorUnit

ANCHOR = "softmax_out"
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
        i, j, k, m = (te.reduce_axis((0, extent)) for extent in (vectors, lanes, vectors, lanes))
        top_lane = te.compute(
            (*lead, lanes),
            lambda *at: te.max(pack[(*at[:rank], i, at[rank])], axis=[i]),
            name="softmax_top_lane",
        )
        top = te.compute(lead, lambda *at: te.max(top_lane[(*at, j)], axis=[j]), name="softmax_top")
        powers = te.compute(
            (*lead, vectors, lanes),
            lambda *at: tirx.exp(pack[at] - top[at[:rank]]),
            name="softmax_exp",
        )
        sum_lane = te.compute(
            (*lead, lanes),
            lambda *at: te.sum(powers[(*at[:rank], k, at[rank])], axis=[k]),
            name="softmax_sum_lane",
        )
        total = te.compute(
            lead, lambda *at: te.sum(sum_lane[(*at, m)], axis=[m]), name="softmax_sum"
        )
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
    for part in ("scale", "sum", "sum_lane", "exp", "top", "top_lane", "pack"):
        sch.compute_at(sch.get_sblock(f"softmax_{part}"), row, preserve_unit_loops=True)
    for part in ("top_lane", "sum_lane", "top", "sum", "scale"):
        sch.set_scope(sch.get_sblock(f"softmax_{part}"), 0, "local")
    if parallel:
        sch.parallel(row)
    for part in ("top_lane", "sum_lane"):
        loops.reduce_lane_by_lane(sch, sch.get_sblock(f"softmax_{part}"))
    for part in ("exp", "pack"):
        inner = sch.get_loops(sch.get_sblock(f"softmax_{part}"))
        if part == "pack" and length % unit.lanes:
            sch.fuse(*inner[-2:])  # a masked tail is LLVM's to vectorise
        else:
            sch.vectorize(inner[-1])
    for part in ("top", "sum"):
        sch.unroll(sch.get_loops(sch.get_sblock(f"softmax_{part}"))[-1])
    if length % unit.lanes == 0:
        _, lane = sch.split(sch.get_loops(out)[-1], [None, unit.lanes])
        sch.vectorize(lane)
