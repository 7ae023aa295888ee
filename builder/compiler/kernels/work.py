"""How much work a kernel is, told from its loops: whether waking other cores pays."""

from __future__ import annotations

import math

import tvm
from tvm import s_tir, tirx

from builder.compiler.kernels import loops

SPLIT_AT_POINTS = 400_000
"""Block iterations from which a kernel is split over cores.

At eight lanes and two operations a cycle that is some 10 us of one core: three times what it costs
to wake a waiting worker and to meet it again.
"""


def points(function: tirx.PrimFunc) -> int:
    """Return how many times the blocks of an unscheduled kernel run, all together."""
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}))
    return sum(
        math.prod(loops.extent(schedule, loop) for loop in schedule.get_loops(block))
        for block in loops.blocks(schedule)
    )


def is_worth_splitting(function: tirx.PrimFunc) -> bool:
    """Tell whether a kernel is large enough to be split over cores."""
    return points(function) >= SPLIT_AT_POINTS
