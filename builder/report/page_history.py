"""How the latency of one model on one board went from result to result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.bench.durations import duration
from builder.bench.result import Estimate, Measurement
from builder.report.bench_view import threads
from builder.report.page_parts import anchor, clock_time
from builder.report.scales import ROOM_FOR_INTERVALS, Scale, Tick, band_path, line_path, scale_over


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One result of a series, ``at`` percent from the left and ``height`` from below.

    ``step`` says how it differs from the valid one before, where their intervals are apart.
    """

    anchor: str
    at: float
    height: float
    taken_utc: str
    bundle: str
    median: str
    valid: bool
    step: str | None
    slower: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The results of one model on one board with one number of threads, oldest first."""

    name: str
    ticks: tuple[Tick, ...]
    line: str
    band: str
    points: tuple[Point, ...]


def histories(measurements: Sequence[Measurement]) -> tuple[Series, ...]:
    """Return a series for each board and model that has several results; ``measurements`` go by
    time."""
    found: dict[tuple[str, str, str, int], list[tuple[int, Measurement, Estimate]]] = {}
    for number, m in enumerate(measurements):
        if m.latency and m.latency.median:
            key = (m.subject.model, m.board.device, m.subject.target, m.pace.threads)
            found.setdefault(key, []).append((number, m, m.latency.median))
    return tuple(
        _series(f"{model} on {device} ({target}), {threads(count)}", entries)
        for (model, device, target, count), entries in sorted(found.items())
        if len(entries) > 1
    )


def _series(name: str, entries: Sequence[tuple[int, Measurement, Estimate]]) -> Series:
    furthest = ROOM_FOR_INTERVALS * max(e.value for *_, e in entries)
    scale = scale_over([min(e.high, furthest) for *_, e in entries], from_zero=True)
    places = [100 * (i + 0.5) / len(entries) for i in range(len(entries))]
    valid = [
        (place, estimate)
        for place, (_, measurement, estimate) in zip(places, entries, strict=True)
        if measurement.status == "valid"
    ]
    return Series(
        name=name,
        ticks=scale.ticks(3),
        line=line_path([(x, scale.at(e.value)) for x, e in valid]),
        band=band_path(
            [(x, scale.at(e.low)) for x, e in valid], [(x, scale.at(e.high)) for x, e in valid]
        ),
        points=_points(entries, places, scale),
    )


def _points(
    entries: Sequence[tuple[int, Measurement, Estimate]], places: Sequence[float], scale: Scale
) -> tuple[Point, ...]:
    made: list[Point] = []
    before: Estimate | None = None
    for (number, measurement, median), place in zip(entries, places, strict=True):
        valid = measurement.status == "valid"
        change = _change(before, median) if before and valid else None
        made.append(
            Point(
                anchor=anchor(number),
                at=round(place, 3),
                height=scale.at(median.value),
                taken_utc=clock_time(measurement.taken_utc),
                bundle=measurement.subject.sha256[:8],
                median=duration(median.value),
                valid=valid,
                step=None if change is None else f"{change:+.1%}",
                slower=change is not None and change > 0,
            )
        )
        before = median if valid else before
    return tuple(made)


def _change(before: Estimate, after: Estimate) -> float | None:
    """Return by how much ``after`` differs, None where the intervals overlap."""
    if before.low <= after.high and after.low <= before.high:
        return None
    return after.value / before.value - 1
