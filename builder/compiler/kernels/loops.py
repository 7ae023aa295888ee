"""What the schedules share: small moves on TVM's schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import s_tir

Block = Any
Loop = Any

_REDUCTION = 2
"""TVM's IterVar type of a reduction axis (``IterVar::kCommReduce``)."""


def blocks(schedule: s_tir.Schedule) -> list[Block]:
    """Return the kernel's blocks in order of computation; none where it is loops throughout."""
    root = schedule.mod["main"].body.block.name_hint
    return list(schedule.get_child_blocks(schedule.get_sblock(root)))


def name(schedule: s_tir.Schedule, block: Block) -> str:
    """Return a block's name."""
    return str(schedule.get(block).name_hint)


def extent(schedule: s_tir.Schedule, loop: Loop) -> int:
    """Return a loop's constant trip count."""
    return int(schedule.get(loop).extent)


def is_reduction(schedule: s_tir.Schedule, block: Block) -> bool:
    """Tell whether a block sums, multiplies or compares over some axis."""
    return reduction_count(schedule, block) > 0


def reduction_count(schedule: s_tir.Schedule, block: Block) -> int:
    """Return how many of a block's axes are reduced."""
    return sum(int(axis.iter_type) == _REDUCTION for axis in schedule.get(block).iter_vars)


_TRANSCENDENTAL = ("T.exp(", "T.exp2(", "T.erf(", "T.tanh(", "T.sigmoid(")


def is_heavy(schedule: s_tir.Schedule, block: Block) -> bool:
    """Tell whether a block evaluates polynomials, which want the registers that sums are in."""
    printed = schedule.get(block).body.script()  # TVM's Python side has no visitor of its own
    return any(call in printed for call in _TRANSCENDENTAL)


def spill_sums(schedule: s_tir.Schedule, main: Block, last: Block, depth: int, lanes: int) -> None:
    """Write a tile of sums to a small buffer before its epilogue reads it vector by vector.

    ``depth`` loops lie around the tile. Comes after ``main`` was put in its place, before its
    initialisation is split off.
    """
    buffer = schedule.get(main).writes[0].source
    read = [region.source.same_as(buffer) for region in schedule.get(last).reads].index(True)
    copy = schedule.cache_read(last, read, "global")
    inside = schedule.get_loops(copy)[depth:]
    across, lane = vectors(schedule, inside[-1], lanes)
    schedule.vectorize(lane)
    unroll_all(schedule, [*inside[:-1], across])


def unroll_all(schedule: s_tir.Schedule, loops: Sequence[Loop]) -> None:
    """Unroll each loop."""
    for loop in loops:
        schedule.unroll(loop)


def vectors(schedule: s_tir.Schedule, loop: Loop, lanes: int) -> tuple[Loop, Loop]:
    """Split a loop of whole vectors into (which vector, lane)."""
    return tuple(schedule.split(loop, [extent(schedule, loop) // lanes, lanes]))


def vectorise_last(schedule: s_tir.Schedule, block: Block, lanes: int) -> None:
    """Vectorise a block's innermost loop where whole vectors fill it.

    Elsewhere the loop is cut where its conditions change, and LLVM vectorises the pieces.
    """
    innermost = schedule.get_loops(block)[-1]
    if extent(schedule, innermost) % lanes == 0:
        schedule.vectorize(vectors(schedule, innermost, lanes)[1])
    else:
        partition(schedule, innermost)


def partition(schedule: s_tir.Schedule, loop: Loop) -> None:
    """Ask for a loop to be cut where the conditions inside it change."""
    schedule.annotate(loop, "pragma_loop_partition_hint", 1)


def reduce_lane_by_lane(schedule: s_tir.Schedule, block: Block) -> None:
    """Schedule a block whose last two loops are (lane, along): one vector of sums along the row."""
    lane, along = schedule.get_loops(block)[-2:]
    schedule.reorder(along, lane)
    schedule.vectorize(lane)
    start = schedule.decompose_reduction(block, along)
    schedule.vectorize(schedule.get_loops(start)[-1])


def fold_epilogue(schedule: s_tir.Schedule, anchor: str) -> tuple[Block, Block, list[Block]]:
    """Inline what follows the anchor into one last block; return (anchor, last, what comes before).

    Where nothing follows, the last block is a copy of the sums out of registers.
    """
    found = blocks(schedule)
    position = [name(schedule, block) for block in found].index(anchor)
    before, main, after = found[:position], found[position], found[position + 1 :]
    for block in after[:-1]:
        schedule.compute_inline(block)
    if after:
        return main, after[-1], before
    copy_out = schedule.cache_write(main, 0, "local")
    return main, copy_out, before
