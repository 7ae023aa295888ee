"""From values to places on a page: percent of a chart's width or height."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builder.bench.durations import duration

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_BINS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A round value on an axis, ``at`` percent of it."""

    at: float
    label: str


ROOM_FOR_INTERVALS = 1.5
"""How far an axis goes beyond its greatest value for the sake of intervals: wide ones are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear axis of durations from ``low`` to ``high`` microseconds."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return where ``value`` lies, in percent, kept inside the axis."""
        span = self.high - self.low
        return round(min(100.0, max(0.0, 100 * (value - self.low) / span)), 3)

    def ticks(self, wanted: int = 4) -> tuple[Tick, ...]:
        """Return about ``wanted`` round values."""
        step = _round_step((self.high - self.low) / wanted)
        first = math.ceil(self.low / step)
        count = int(self.high / step + 1e-9) - first + 1
        values = [(first + i) * step for i in range(max(0, count))]
        return tuple(Tick(at=self.at(value), label=duration(value)) for value in values)


def scale_over(values: Sequence[float], *, from_zero: bool = False) -> Scale:
    """Return a scale that holds all of ``values`` with a little room beside them."""
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or high * 0.05 or 1.0
    return Scale(low=0.0 if from_zero else max(0.0, low - room), high=high + room)


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Samples counted in bins: an SVG path over 1000 x 100 units, and how many lie beyond it."""

    scale: Scale
    path: str
    beyond: int


def histogram(samples: Sequence[float]) -> Histogram:
    """Return the histogram of ``samples`` in microseconds; a long tail is cut, and counted."""
    values = np.asarray(samples, dtype=np.float64)
    low, most = float(values.min()), float(np.quantile(values, 0.9))
    scale = scale_over([low, min(float(values.max()), low + 4 * (most - low))])
    counts, _ = np.histogram(values, bins=_BINS, range=(scale.low, scale.high))
    return Histogram(
        scale=scale, path=_steps(counts.tolist()), beyond=int((values > scale.high).sum())
    )


def _steps(counts: Sequence[int]) -> str:
    tallest, width = max(*counts, 1), 1000 / len(counts)
    points = ["M0 100"]
    for number, count in enumerate(counts):
        points.append(f"V{100 - 96 * count / tallest:.2f}H{(number + 1) * width:.2f}")
    return "".join([*points, "V100Z"])


def line_path(points: Sequence[tuple[float, float]]) -> str:
    """Return a line through places in percent, as an SVG path over 1000 x 100 units."""
    if not points:
        return ""
    return "M" + "L".join(f"{10 * x:.2f} {100 - y:.2f}" for x, y in points)


def band_path(lows: Sequence[tuple[float, float]], highs: Sequence[tuple[float, float]]) -> str:
    """Return the area between two lines, as an SVG path over 1000 x 100 units."""
    return line_path([*highs, *reversed(lows)]) + ("Z" if lows else "")


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough - 1e-12)
