"""When another way to do one thing counts as faster than the usual one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

HEATS = 5
"""Rounds in which all ways take part, by turns."""

FINAL_ROUNDS = 11
"""Of the best against the usual one: luck does not win twice."""

_CLEAR = 0.97
_LOST_ROUNDS = 2


def clearly_faster(challenger: Sequence[float], usual: Sequence[float]) -> bool:
    """Tell whether the times of ``FINAL_ROUNDS``, pair by pair, are worth another way.

    The median must be 3 % less, and all but two rounds must be won.
    """
    if statistics.median(challenger) > _CLEAR * statistics.median(usual):
        return False
    lost = sum(mine >= theirs for mine, theirs in zip(challenger, usual, strict=True))
    return lost <= _LOST_ROUNDS
