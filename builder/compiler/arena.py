"""Memory planning: give every temporary of a straight-line program its place in one arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.compiler.plan import ALIGNMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """A buffer that is written by call ``first`` and read for the last time by call ``last``."""

    size_bytes: int
    first: int
    last: int


def assign(lifetimes: Sequence[Lifetime]) -> tuple[tuple[int, ...], int]:
    """Return each buffer's byte offset and the arena's size; buffers alive together never overlap.

    Greedy by size: the largest buffers choose first, each takes the smallest gap that fits among
    those it lives with (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference", 2020, algorithm "greedy by size"). Offsets and size are multiples of 64.
    """
    order = sorted(range(len(lifetimes)), key=lambda i: (-lifetimes[i].size_bytes, i))
    offsets = [0] * len(lifetimes)
    placed: list[tuple[int, int, int]] = []  # (offset, end, buffer), by offset
    for buffer in order:
        size = align(lifetimes[buffer].size_bytes)
        neighbours = [
            (start, end)
            for start, end, other in placed
            if _live_together(lifetimes[buffer], lifetimes[other])
        ]
        offset = _best_gap(neighbours, size)
        offsets[buffer] = offset
        placed.append((offset, offset + size, buffer))
        placed.sort()
    return tuple(offsets), max((end for _, end, _ in placed), default=0)


def align(size_bytes: int) -> int:
    """Round up to the alignment of the arena and the weights."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _live_together(a: Lifetime, b: Lifetime) -> bool:
    return a.first <= b.last and b.first <= a.last


def _best_gap(neighbours: Sequence[tuple[int, int]], size: int) -> int:
    """Return the start of the tightest hole of ``size`` bytes, or the end of the last neighbour."""
    best: tuple[int, int] | None = None
    free_from = 0
    for start, end in neighbours:
        gap = start - free_from
        if gap >= size and (best is None or gap < best[0]):
            best = (gap, free_from)
        free_from = max(free_from, end)
    return free_from if best is None else best[1]
