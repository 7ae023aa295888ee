"""Where two ways to compute a model part: at which nodes, and whether those jump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.payload.judging import Array, off
from builder.payload.jumps import first_jumps
from builder.payload.pieces import Pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """The nodes whose jumps are behind differences, by position, each with a value that shows it.

    A model drifts where values differ that follow, without a jump, from values that do not.
    """

    jumps: Mapping[int, str]
    drifts: bool


def part(ours: Pieces, theirs: Pieces, names: Sequence[str]) -> Parting:
    """Compare values of one graph that ``ours`` knows with those that ``theirs`` computes.

    ``names`` are in the order of the graph.
    """
    behind: set[str] = set()  # a jump
    jumps: dict[int, str] = {}
    drifts = False
    for name, there in zip(names, theirs.values(names), strict=True):
        if not _differ(ours.known[name], there):
            continue
        if behind.isdisjoint(ours.taken(name)):
            found = first_jumps(ours, name)
            if not found:
                drifts = True
                continue
            jumps = dict.fromkeys(found, name) | jumps
        behind.add(name)
    return Parting(jumps=jumps, drifts=drifts)


def _differ(one: Array, other: Array) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return True
    return bool((off(one, other) if one.dtype.kind == "f" else one != other).any())
