"""How much work a kernel is, told from its loops: whether waking other cores pays."""

from __future__ import annotations

import math

import tvm
from tvm import s_tir, tirx

from builder.compiler.kernels import loops

SPLIT_AT_POINTS = 30_000
"""Block iterations from which a kernel is split over cores; sums in registers count a quarter.

That is some 10 to 30 us of one core: a few times what it costs to wake a waiting worker and to meet
it again.
"""


def points(function: tirx.PrimFunc) -> float:
    """Return how often the blocks of an unscheduled kernel run, weighed by what a run costs."""
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}))

    def weight(block: loops.Block) -> float:
        return 0.25 if loops.is_reduction(schedule, block) else 1.0

    return sum(
        weight(block)
        * math.prod(loops.extent(schedule, loop) for loop in schedule.get_loops(block))
        for block in loops.blocks(schedule)
    )


def is_worth_splitting(function: tirx.PrimFunc) -> bool:
    """Tell whether a kernel is large enough to be split over cores."""
    return points(function) >= SPLIT_AT_POINTS
