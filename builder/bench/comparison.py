"""Is the new bundle faster, slower, or is there no difference to be seen?

Old and new are measured in turns, so each pair of blocks saw the same board at the same time and
what the board does to both cancels in their ratio. The pairs are the independent observations: the
interval is Student's, on the mean logarithm of their ratios (Kalibera and Jones, *Rigorous
Benchmarking in Reasonable Time*, ISMM 2013).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from builder.bench.result import Comparison, Estimate, Verdict
from builder.bench.statistics import Blocks, student_t
from builder.errors import PerformanceRegression, UsageError

LEAST_PAIRS = 3

_PERCENT = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6})?)\s*%")


def compare(new: Blocks, old: Blocks, *, baseline: str) -> Comparison:
    """Return the verdict on pairs of blocks: ``new[i]`` and ``old[i]`` were measured in turn.

    There are as many of either, at least ``LEAST_PAIRS``. ``baseline`` says what ``old`` is.
    """
    assert len(new) == len(old) >= LEAST_PAIRS
    ratios = [np.median(a) / np.median(b) for a, b in zip(new, old, strict=True)]
    change = _change(np.log(ratios))
    return Comparison(
        verdict=_verdict(change),
        change=change,
        baseline=baseline,
        baseline_median_us=float(np.median(np.concatenate([np.asarray(b) for b in old]))),
    )


def first_of_pair(pair: int) -> str:
    """Return whether pair number ``pair`` begins with the ``old`` or the ``new`` one.

    Turns swap (old new, new old, …), so that a board that warms up slows both alike.
    """
    return "old" if pair % 2 == 0 else "new"


def parse_percent(text: str) -> float:
    """Return ``5%`` as 0.05. Raises ``UsageError`` ``bad-percentage``."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{text!r} is no percentage", reason="bad-percentage", remedy="write it as in: 5%"
        )
    return float(match[1]) / 100


def refuse_regression(comparison: Comparison, allowed: float, *, where: str) -> None:
    """Raise ``PerformanceRegression`` when slower, beyond doubt, and by more than ``allowed``."""
    change = comparison.change
    if comparison.verdict == "slower" and change.value > allowed:
        raise PerformanceRegression(
            f"{change.value:.1%} slower than {comparison.baseline}, {allowed:.1%} are allowed",
            reason="slower",
            where=where,
            why=f"95% interval {change.low:+.1%} to {change.high:+.1%}",
            details={"change": change.value, "low": change.low, "high": change.high},
        )


def _change(logarithms: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> Estimate:
    values = np.asarray(logarithms, dtype=np.float64)
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)
    half = student_t(values.size - 1) * error
    return Estimate(
        value=math.expm1(mean), low=math.expm1(mean - half), high=math.expm1(mean + half)
    )


def _verdict(change: Estimate) -> Verdict:
    if change.high < 0:
        return "faster"
    return "slower" if change.low > 0 else "no-difference"
