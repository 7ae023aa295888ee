from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle

import pytest

from builder.payload.race import Timer, race


def timer(*seconds: float) -> Timer:
    told: Iterator[float] = cycle(seconds)
    return lambda _count: next(told)


def winner(*timers: Timer) -> int:
    return race(timers).winner


def test_the_clearly_fastest_wins() -> None:
    outcome = race([timer(1.0), timer(0.8), timer(0.9)])
    assert (outcome.winner, outcome.winner_s, outcome.usual_s) == (1, 0.8, 1.0)


@pytest.mark.parametrize("others", [(1.0,), (0.99,), (0.975, 1.2), ()])
def test_the_usual_stays_where_nothing_is_clearly_faster(others: Sequence[float]) -> None:
    assert winner(timer(1.0), *map(timer, others)) == 0


def test_luck_does_not_win() -> None:
    assert winner(timer(1.0), timer(0.7, 1.1)) == 0


def test_all_take_turns() -> None:
    order: list[str] = []

    def noting(name: str) -> Timer:
        def seconds(_count: int) -> float:
            order.append(name)
            return 1.0

        return seconds

    race([noting("a"), noting("b"), noting("c")])
    assert order[:9] == ["a", "b", "c"] * 3


def test_short_runs_are_repeated() -> None:
    counts: list[int] = []

    def short(count: int) -> float:
        counts.append(count)
        return 1e-6

    race([short])
    assert counts[0] == 1
    assert min(counts[1:]) > 1000
