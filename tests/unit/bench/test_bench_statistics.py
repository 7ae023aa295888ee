"""Intervals against simulated boards whose true percentiles are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from builder.bench.comparison import compare
from builder.bench.statistics import latency, noise, percentiles

Floats = npt.NDArray[np.float64]

BOARDS: dict[str, dict[str, Any]] = {
    # The truth is the median of exp(level + spread * x): exp(level), whatever x is correlated with.
    "independent runs": {"correlation": 0.0, "between": 0.0},
    "neighbours alike": {"correlation": 0.8, "between": 0.0},
    "processes differ": {"correlation": 0.5, "between": 0.02},
}


def processes(
    rng: np.random.Generator,
    *,
    correlation: float,
    between: float,
    count: int = 10,
    runs: int = 100,
    level_us: float = 1000.0,
) -> list[Floats]:
    """Return the samples of simulated processes: lognormal, autocorrelated, each with an offset."""
    made = []
    for _ in range(count):
        x = rng.standard_normal(runs)
        for i in range(1, runs):
            x[i] = correlation * x[i - 1] + np.sqrt(1 - correlation**2) * x[i]
        made.append(level_us * np.exp(between * rng.standard_normal() + 0.03 * x))
    return made


@pytest.mark.parametrize("board", BOARDS)
def test_intervals_hold_the_true_median_as_often_as_they_say(board: str) -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(40):
        [median] = percentiles(processes(rng, runs=60, **BOARDS[board]), [0.5])
        assert median is not None
        held += median.low <= 1000.0 <= median.high
    assert held >= 36  # of 38 expected


def test_intervals_are_narrow_where_the_board_is_steady() -> None:
    rng = np.random.default_rng(7)
    [median] = percentiles(processes(rng, correlation=0, between=0), [0.5])
    assert median is not None
    assert (median.high - median.low) / median.value < 0.02


@pytest.mark.parametrize("board", BOARDS)
def test_a_bundle_seldom_differs_from_itself(board: str) -> None:
    rng = np.random.default_rng(11)
    verdicts = [
        compare(
            processes(rng, **BOARDS[board]), processes(rng, **BOARDS[board]), baseline="itself"
        ).verdict
        for _ in range(200)
    ]
    assert sum(verdict != "no-difference" for verdict in verdicts) <= 20  # 10 expected at 95%


@pytest.mark.parametrize(("factor", "verdict"), [(1.05, "slower"), (0.95, "faster")])
def test_five_percent_is_found_on_a_noisy_board(factor: float, verdict: str) -> None:
    rng = np.random.default_rng(13)
    found = 0
    for _ in range(50):
        new = processes(rng, correlation=0.5, between=0.02, level_us=1000 * factor)
        old = processes(rng, correlation=0.5, between=0.02)
        found += compare(new, old, baseline="old").verdict == verdict
    assert found >= 45


def test_a_board_that_warms_up_slows_new_and_old_alike() -> None:
    rng = np.random.default_rng(17)
    drift = np.linspace(1.0, 1.5, 20)  # one factor a block, in the order they are taken
    old_first = [pair % 2 == 0 for pair in range(10)]
    new, old = [], []
    for pair, first in enumerate(old_first):
        at_old, at_new = (2 * pair, 2 * pair + 1) if first else (2 * pair + 1, 2 * pair)
        old.append(drift[at_old] * rng.lognormal(7, 0.01, 50))
        new.append(drift[at_new] * rng.lognormal(7, 0.01, 50))
    assert compare(new, old, baseline="old").verdict == "no-difference"


def test_percentiles_are_stated_with_enough_samples_only() -> None:
    def stated(samples: int) -> list[bool]:
        rng = np.random.default_rng(samples)
        blocks = np.array_split(rng.lognormal(7, 0.1, samples), 5)
        summary = latency(blocks)
        return [summary.median is not None, summary.p90 is not None, summary.p99 is not None]

    assert stated(15) == [False, False, False]
    assert stated(30) == [True, False, False]
    assert stated(100) == [True, True, False]
    assert stated(1000) == [True, True, True]


def test_values_are_nearest_ranks_of_all_samples() -> None:
    samples = np.arange(1.0, 2001.0)
    summary = latency(np.array_split(np.random.default_rng(1).permutation(samples), 10))
    assert summary.median and summary.p90 and summary.p99
    values = (summary.median.value, summary.p90.value, summary.p99.value)
    assert values == (1000.0, 1800.0, 1980.0)
    assert (summary.samples, summary.min_us, summary.mean_us) == (2000, 1.0, 1000.5)


def test_many_samples_are_summed_up_on_levels_without_losing_the_tail() -> None:
    rng = np.random.default_rng(3)
    blocks = [rng.lognormal(7, 0.05, 20_000) for _ in range(6)]
    [p99] = percentiles(blocks, [0.99])
    assert p99 is not None
    truth = float(np.exp(7 + 0.05 * 2.3263))
    assert p99.low <= truth <= p99.high
    assert (p99.high - p99.low) / p99.value < 0.01


def test_the_same_samples_give_the_same_interval() -> None:
    blocks = processes(np.random.default_rng(5), correlation=0.5, between=0.01)
    assert latency(blocks) == latency(blocks)


def test_equal_samples_have_an_interval_without_width() -> None:
    [median] = percentiles([[5.0] * 10] * 3, [0.5])
    assert median is not None
    assert median.low == pytest.approx(5.0)
    assert median.high == pytest.approx(5.0)
    assert compare([[5.0]] * 3, [[5.0]] * 3, baseline="same").verdict == "no-difference"


def test_noise_is_how_much_processes_differ() -> None:
    assert noise([[100.0], [100.0]]) == 0
    assert noise([[90.0], [110.0]]) == pytest.approx(0.1414, abs=1e-4)
    assert noise([[1.0, 2.0]]) is None
