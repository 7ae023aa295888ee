"""Inputs as vectors, of which each lane multiplies a vector of weights.

A broadcast takes a load, and on some cores a slot of the multiply-adds, for every input. Where a
vector can be multiplied by one lane of another, one load serves as many steps of the reduction as a
vector has lanes.
"""

from __future__ import annotations

from tvm import s_tir

from builder.compiler.kernels import loops
from builder.compiler.kernels.tiles import LANE_STEPS
from builder.compiler.vector_unit import VectorUnit


def inputs_apart(sch: s_tir.Schedule, main: loops.Block, unit: VectorUnit) -> loops.Block | None:
    """Give what ``main`` reads first a block of its own, if its last loop is whole vectors of it.

    Comes first of all; the block is to be put in its place by ``load``.
    """
    steps = sch.get_loops(main)[-1]
    if not unit.by_lane or loops.extent(sch, steps) % LANE_STEPS:
        return None
    inputs = sch.reindex(main, ("read", 0))
    sch.set_scope(inputs, 0, "local")
    return inputs


def load(sch: s_tir.Schedule, inputs: loops.Block, steps: loops.Loop) -> loops.Loop:
    """Load the inputs of ``steps``, the last loop that is reduced, as vectors.

    Returns the loop over vectors; the loop over their lanes inside it is unrolled.
    """
    vector, lane = sch.split(steps, [None, LANE_STEPS])
    sch.compute_at(inputs, vector, preserve_unit_loops=True)
    sch.vectorize(sch.get_loops(inputs)[-1])
    sch.unroll(lane)
    return vector
