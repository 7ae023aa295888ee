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


def suits(sch: s_tir.Schedule, main: loops.Block, unit: VectorUnit) -> bool:
    """Tell whether ``unit`` multiplies by lanes and ``main``'s last loop is whole vectors."""
    return unit.by_lane and loops.extent(sch, sch.get_loops(main)[-1]) % LANE_STEPS == 0


def inputs_apart(sch: s_tir.Schedule, main: loops.Block) -> loops.Block:
    """Give what ``main`` reads first a block of its own, which ``load`` is to put in its place.

    Comes before ``main`` is moved. Tiles must be whole: behind a condition on each point LLVM would
    test every one of them for every vector.
    """
    inputs = sch.reindex(main, ("read", 0))
    sch.set_scope(inputs, 0, "local")
    return inputs


def load(sch: s_tir.Schedule, inputs: loops.Block, steps: loops.Loop) -> loops.Loop:
    """Load the inputs of ``steps``, the last loop that is reduced, as vectors.

    Returns the loop over vectors; the loop over their lanes inside it is unrolled.
    """
    vector, lane = sch.split(steps, [None, LANE_STEPS])
    sch.compute_at(inputs, vector, preserve_unit_loops=True)
    around = [sch.get(loop).same_as(sch.get(vector)) for loop in sch.get_loops(inputs)].index(True)
    *points, last = sch.get_loops(inputs)[around + 1 :]
    loops.unroll_all(sch, [*points, lane])
    sch.vectorize(last)
    return vector
