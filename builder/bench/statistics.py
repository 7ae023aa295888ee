"""What samples say and how surely: percentiles with block-bootstrap confidence intervals.

Runs of one process resemble each other, neighbours most of all, so samples are no independent
draws. The bootstrap keeps that: it draws processes, and within each drawn process stretches of
consecutive runs (a two-stage cluster bootstrap; Davison and Hinkley, *Bootstrap Methods and their
Application*, 3.8 and 8.2.3). Its standard error, on the logarithm, is widened by Student's t for
the number of processes, which a plain percentile interval ignores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from builder.bench.result import Estimate, Latency

CONFIDENCE = 0.95
TAIL_SAMPLES = 10
"""How many samples must lie beyond a percentile for it to be stated: 1,000 samples for p99."""

_REPLICATES = 400
_MOST_STRETCHES = 64
_MOST_LEVELS = 1024
_SEED = 20_260_101  # the same samples give the same interval

Floats = npt.NDArray[np.float64]
Samples = Sequence[float] | Floats
Blocks = Sequence[Samples]
"""Latencies in microseconds, one sequence a process, none empty."""


def latency(blocks: Blocks) -> Latency:
    """Return the summary of samples."""
    pooled = np.concatenate([np.asarray(block, dtype=np.float64) for block in blocks])
    median, p90, p99 = percentiles(blocks, (0.5, 0.9, 0.99))
    return Latency(
        samples=pooled.size,
        median=median,
        p90=p90,
        p99=p99,
        min_us=float(pooled.min()),
        mean_us=float(pooled.mean()),
        noise=noise(blocks),
    )


def noise(blocks: Blocks) -> float | None:
    """Return how much the blocks' medians differ: their coefficient of variation."""
    medians = np.array([np.median(block) for block in blocks])
    if medians.size < 2 or not medians.mean() > 0:
        return None
    return float(medians.std(ddof=1) / medians.mean())


def percentiles(blocks: Blocks, quantiles: Sequence[float]) -> tuple[Estimate | None, ...]:
    """Return each quantile with its interval; None where too few samples lie beyond it."""
    arrays = [np.asarray(block, dtype=np.float64) for block in blocks]
    pooled = np.sort(np.concatenate(arrays))
    stated = [q for q in quantiles if pooled.size * (1 - q) >= TAIL_SAMPLES * (1 - 1e-9)]
    levels = _levels(pooled)
    drawn = _replicates(arrays, levels, stated) if stated else np.empty((0, 0))
    made = {
        q: _estimate(_nearest_rank(pooled, q), drawn[:, column], len(arrays))
        for column, q in enumerate(stated)
    }
    return tuple(made.get(q) for q in quantiles)


def middle(values: Samples) -> float:
    """Return the plain median."""
    return float(np.median(values))


def student_t(degrees: int) -> float:
    """Return the two-sided critical value of Student's t at ``CONFIDENCE``."""
    from scipy.stats import t  # half a second that only measuring pays

    return float(t.ppf(0.5 + CONFIDENCE / 2, degrees))


def _estimate(value: float, drawn: Floats, blocks: int) -> Estimate:
    tiny = np.finfo(np.float64).tiny
    error = float(np.log(np.maximum(drawn, tiny)).std(ddof=1))
    if blocks > 1:
        # Drawing k of k processes understates their variance by (k - 1) / k.
        error *= student_t(blocks - 1) * math.sqrt(blocks / (blocks - 1))
    else:
        error *= 1.96
    return Estimate(value=value, low=value * math.exp(-error), high=value * math.exp(error))


def _nearest_rank(ordered: Floats, quantile: float) -> float:
    return float(ordered[max(0, math.ceil(ordered.size * quantile - 1e-9) - 1)])


def _levels(ordered: Floats) -> Floats:
    """Return values to count samples at: all that occur, or evenly many samples between two."""
    distinct = np.unique(ordered)
    if distinct.size <= _MOST_LEVELS:
        return distinct
    ranks = np.linspace(0, ordered.size - 1, _MOST_LEVELS).astype(np.int64)
    # The tail that a p99 falls in is counted as finely as everything below it.
    tail = np.linspace(0.98 * ordered.size, ordered.size - 1, _MOST_LEVELS // 4).astype(np.int64)
    return np.unique(ordered[np.concatenate([ranks, tail])])


def _replicates(arrays: Sequence[Floats], levels: Floats, quantiles: Sequence[float]) -> Floats:
    """Return the quantiles of each bootstrap replicate, [replicates, quantiles].

    A replicate is how often each stretch was drawn, so its histogram is a product of matrices and
    its cost does not depend on the number of samples.
    """
    rng = np.random.default_rng(_SEED)
    counts = [_stretch_counts(array, levels) for array in arrays]
    weights = _weights([len(rows) for rows in counts], rng)
    histograms = weights @ np.concatenate(counts)
    cumulative = np.cumsum(histograms, axis=1)
    ranks = cumulative[:, -1:] * np.asarray(quantiles)[None, :] - 1e-6
    rows = zip(cumulative, ranks, strict=True)
    columns = np.stack([np.searchsorted(row, wanted) for row, wanted in rows])
    drawn: Floats = levels[np.minimum(columns, levels.size - 1)]
    return drawn


def _stretch_counts(array: Floats, levels: Floats) -> Floats:
    """Return the histogram of each stretch of consecutive samples, [stretches, levels]."""
    # Stretches of about n ** (1/3) samples, the usual choice; longer ones where there are many.
    number = int(min(array.size, _MOST_STRETCHES, max(1, round(array.size ** (2 / 3)))))
    places = np.minimum(np.searchsorted(levels, array), levels.size - 1)
    return np.stack(
        [np.bincount(p, minlength=levels.size) for p in np.array_split(places, number)]
    ).astype(np.float64)


def _weights(stretches: Sequence[int], rng: np.random.Generator) -> Floats:
    """Return how often each stretch is drawn, [replicates, stretches of all processes]."""
    blocks = len(stretches)
    drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=_REPLICATES)
    columns = [
        rng.multinomial(times * number, np.full(number, 1 / number))
        for number, times in zip(stretches, drawn.T, strict=True)
    ]
    return np.concatenate(columns, axis=1).astype(np.float64)
