"""Percentages, verdicts and the gate."""

from __future__ import annotations

import pytest

from builder.bench.comparison import first_of_pair, parse_percent, refuse_regression
from builder.bench.result import Comparison, Estimate, Verdict
from builder.errors import PerformanceRegression, UsageError


def comparison(verdict: Verdict, change: float) -> Comparison:
    bounds = Estimate(value=change, low=change - 0.01, high=change + 0.01)
    return Comparison(verdict=verdict, change=bounds, baseline="old", baseline_median_us=100.0)


def test_percentages() -> None:
    assert parse_percent("5%") == 0.05
    assert parse_percent(" 2.5 % ") == 0.025


@pytest.mark.parametrize(
    "text", ["5", "", "%", "-5%", "1e3%", "5%%", "nan%", "\N{ARABIC-INDIC DIGIT FIVE}%", "0x5%"]
)
def test_other_texts_are_no_percentages(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_percent(text)
    assert caught.value.reason == "bad-percentage"


def test_the_gate_closes_on_what_is_slower_by_more() -> None:
    with pytest.raises(PerformanceRegression) as caught:
        refuse_regression(comparison("slower", 0.08), 0.05, where="pi")
    assert caught.value.reason == "slower"
    assert caught.value.details["change"] == 0.08


@pytest.mark.parametrize(
    ("verdict", "change"), [("slower", 0.03), ("no-difference", 0.30), ("faster", -0.30)]
)
def test_the_gate_stays_open(verdict: Verdict, change: float) -> None:
    refuse_regression(comparison(verdict, change), 0.05, where="pi")


def test_turns_swap() -> None:
    assert [first_of_pair(pair) for pair in range(4)] == ["old", "new", "old", "new"]
