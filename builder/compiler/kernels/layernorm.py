"""Layer normalisation over the last axis, one row at a time."""

from __future__ import annotations

from typing import Any

from tvm import s_tir, te, tirx

from builder.compiler.kernels import lanes as lanewise
from builder.compiler.kernels import loops
from builder.compiler.kernels.conv import Compute
from builder.compiler.vector_unit import VectorUnit

ANCHOR = "layernorm_out"


def compute(epsilon: float, lanes: int) -> Compute:
    """Return the TE of (x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axis.

    gamma and beta are [length], and ``lanes`` divides the length. The variance is summed over
    squared differences, in a second walk over the row: the textbook's one-walk form cancels.
    """

    def of(data: te.Tensor, gamma: te.Tensor, beta: te.Tensor) -> te.Tensor:
        shape = [int(extent) for extent in data.shape]
        *lead, length = shape
        rank, vectors = len(lead), length // lanes
        i, k = (te.reduce_axis((0, vectors)) for _ in range(2))
        inverse = tirx.const(1.0 / length, "float32")
        sum_lane = te.compute(
            (*lead, lanes),
            lambda *at: te.sum(data[(*at[:rank], i * lanes + at[rank])], axis=[i]),
            name="layernorm_sum_lane",
        )
        total = lanewise.fold(sum_lane, lambda x, y: x + y, "layernorm_sum")

        def square(*at: Any) -> Any:
            off = data[(*at[:rank], k * lanes + at[rank])] - total[at[:rank]] * inverse
            return te.sum(off * off, axis=[k])

        square_lane = te.compute((*lead, lanes), square, name="layernorm_square_lane")
        squares = lanewise.fold(square_lane, lambda x, y: x + y, "layernorm_square")
        scale = te.compute(
            lead,
            lambda *at: (
                tirx.const(1.0, "float32")
                / tirx.sqrt(squares[at] * inverse + tirx.const(epsilon, "float32"))
            ),
            name="layernorm_scale",
        )

        def out(*at: Any) -> Any:
            centred = data[at] - total[at[:rank]] * inverse
            return centred * scale[at[:rank]] * gamma[at[rank]] + beta[at[rank]]

        return te.compute(shape, out, name=ANCHOR)

    return of


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Do everything of a row inside one loop over rows; sums run lane by lane."""
    out = sch.get_sblock(ANCHOR)
    *lead, _ = sch.get_loops(out)
    row = sch.fuse(*lead)
    for block in reversed(loops.blocks(sch)[:-1]):
        sch.compute_at(block, row, preserve_unit_loops=True)
        sch.set_scope(block, 0, "local")
    if parallel:
        sch.parallel(row)
    for part in ("sum_lane", "square_lane"):
        loops.reduce_lane_by_lane(sch, sch.get_sblock(f"layernorm_{part}"))
    _, lane = sch.split(sch.get_loops(out)[-1], [None, unit.lanes])
    sch.vectorize(lane)
    lanewise.vectorise_halves(sch, row)
