"""Which of several ways to do one thing is the fastest: by turns, so that all see the same hour."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builder.tuning.judging import FINAL_ROUNDS, HEATS, clearly_faster

Timer = Callable[[int], float]
"""Runs something so many times in a row; returns the seconds that one run took."""

_ROUND_S = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``winner`` is a position among the timers: 0, the usual way, unless one is clearly faster.

    Times are medians in seconds: of the winner, and of the usual way.
    """

    winner: int
    winner_s: float
    usual_s: float


def race(timers: Sequence[Timer]) -> Outcome:
    """Time all in turns, then the fastest against the first once more: luck does not win twice."""
    times = _by_turns(timers, HEATS)
    medians = [statistics.median(each) for each in times]
    best = min(range(len(timers)), key=medians.__getitem__)
    if best == 0:
        return Outcome(winner=0, winner_s=medians[0], usual_s=medians[0])
    usual, challenger = _by_turns((timers[0], timers[best]), FINAL_ROUNDS)
    usual_s, challenger_s = statistics.median(usual), statistics.median(challenger)
    if not clearly_faster(challenger, usual):
        return Outcome(winner=0, winner_s=usual_s, usual_s=usual_s)
    return Outcome(winner=best, winner_s=challenger_s, usual_s=usual_s)


def _by_turns(timers: Sequence[Timer], rounds: int) -> list[list[float]]:
    """Return each timer's seconds, round by round: A B C A B C."""
    runs = [max(1, int(_ROUND_S / max(timer(1), 1e-9))) for timer in timers]
    times: list[list[float]] = [[] for _ in timers]
    for _ in range(rounds):
        for timer, count, taken in zip(timers, runs, times, strict=True):
            taken.append(timer(count))
    return times
