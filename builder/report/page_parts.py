"""Measurements as the parts of a page: numbers as text, and places in percent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builder.bench.durations import duration
from builder.bench.result import Estimate, KernelTime, Measurement, Minute, Problem, Rival
from builder.report.bench_view import threads, verdict
from builder.report.page_environment import Fact, facts
from builder.report.scales import (
    ROOM_FOR_INTERVALS,
    Histogram,
    Scale,
    Tick,
    histogram,
    line_path,
    scale_over,
)
from builder.report.wording import byte_size

_TOP_KERNELS = 15
_NOT_KNOWN = "\N{EN DASH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A value with its interval on an axis: text for people, places in percent."""

    text: str
    at: float
    low: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line across a histogram."""

    name: str
    text: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One row of a profile; ``share`` is in percent."""

    name: str
    nodes: tuple[str, ...]
    mean: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A value minute by minute: a line, its axis, and a row of text each."""

    path: str
    ticks: tuple[Tick, ...]
    rows: tuple[tuple[str, str, str, bool], ...]  # minute, median, temperature, throttled


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything about one measurement. ``anchor`` is unique on the page."""

    anchor: str
    device: str
    model: str
    target: str
    threads: str
    taken_utc: str
    valid: bool
    problems: tuple[str, ...]
    release: str
    bundle: str
    figures: tuple[tuple[str, str], ...]
    verdict: str | None
    direction: str | None
    histogram: Histogram | None
    marks: tuple[Mark, ...]
    samples: int
    course: Course | None
    kernels: tuple[Kernel, ...]
    other_kernels: int
    rivals: tuple[tuple[str, str, str], ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One measurement among others of its model and threads."""

    anchor: str
    label: str
    median: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Boards side by side: one model on as many threads, the fastest first."""

    name: str
    ticks: tuple[Tick, ...]
    ranks: tuple[Rank, ...]


def card(measurement: Measurement, number: int) -> Card:
    """Return what the page says of one measurement, the ``number``-th on it."""
    subject, board = measurement.subject, measurement.board
    comparison = measurement.comparison
    samples = [value for block in measurement.blocks for value in block.latency_us]
    drawn = histogram(samples) if samples else None
    return Card(
        anchor=anchor(number),
        device=board.device,
        model=subject.model,
        target=subject.target,
        threads=threads(measurement.pace.threads),
        taken_utc=clock_time(measurement.taken_utc),
        valid=measurement.status == "valid",
        problems=_problems(measurement.problems),
        release=subject.release or _NOT_KNOWN,
        bundle=subject.sha256[:12],
        figures=_figures(measurement),
        verdict=verdict(comparison) if comparison else None,
        direction=comparison.verdict if comparison else None,
        histogram=drawn,
        marks=_marks(measurement, drawn.scale) if drawn else (),
        samples=len(samples),
        course=_course(measurement.minutes) if measurement.minutes else None,
        kernels=tuple(map(_kernel, measurement.kernels[:_TOP_KERNELS])),
        other_kernels=max(0, len(measurement.kernels) - _TOP_KERNELS),
        rivals=tuple(map(_rival, measurement.rivals)),
        facts=facts(measurement),
    )


def clock_time(iso: str) -> str:
    """Return a time as people read it, to the second: ``2026-01-31 12:00:00``."""
    return iso[:19].replace("T", " ")


def anchor(number: int) -> str:
    """Return the page's own name for a measurement."""
    return f"result-{number}"


def groups(measurements: Sequence[Measurement]) -> tuple[Group, ...]:
    """Return the newest valid result of each board and bundle, by model and threads."""
    newest: dict[tuple[str, int], dict[tuple[str, str, str], int]] = {}
    for number, m in enumerate(measurements):
        if m.status == "valid" and m.latency and m.latency.median:
            place = (m.board.device, m.subject.target, m.subject.sha256)
            newest.setdefault((m.subject.model, m.pace.threads), {})[place] = number
    return tuple(
        _group(f"{model}, {threads(count)}", [(n, measurements[n]) for n in found.values()])
        for (model, count), found in sorted(newest.items())
        if len(found) > 1
    )


def _group(name: str, numbered: Sequence[tuple[int, Measurement]]) -> Group:
    medians = {n: m.latency.median for n, m in numbered if m.latency and m.latency.median}
    # One wide interval must not squash all others: what lies beyond the axis is cut, not the text.
    furthest = ROOM_FOR_INTERVALS * max(e.value for e in medians.values())
    scale = scale_over([min(e.high, furthest) for e in medians.values()], from_zero=True)
    ranked = sorted(numbered, key=lambda entry: medians[entry[0]].value)
    return Group(
        name=name,
        ticks=scale.ticks(),
        ranks=tuple(_rank(number, m, medians[number], scale) for number, m in ranked),
    )


def _rank(number: int, measurement: Measurement, median: Estimate, scale: Scale) -> Rank:
    label = f"{measurement.board.device} ({measurement.subject.target})"
    bundle = measurement.subject.sha256[:8]
    return Rank(
        anchor=anchor(number),
        label=f"{label} {bundle}",
        median=span(median, scale),
    )


def span(estimate: Estimate, scale: Scale) -> Span:
    """Return an estimate on an axis."""
    low = scale.at(estimate.low)
    bounds = f"{duration(estimate.low)} to {duration(estimate.high)}"
    return Span(
        text=f"{duration(estimate.value)} ({bounds})",
        at=scale.at(estimate.value),
        low=low,
        width=round(scale.at(estimate.high) - low, 3),
    )


def _problems(found: Sequence[Problem]) -> tuple[str, ...]:
    """Return each kind of problem once, as it was first seen, with how often it was seen again."""
    by_reason: dict[str, list[Problem]] = {}
    for problem in found:
        by_reason.setdefault(problem.reason, []).append(problem)
    return tuple(
        f"{first.where}: {first.what}" + (f" (and {len(again)} more times)" if again else "")
        for first, *again in by_reason.values()
    )


def _figures(measurement: Measurement) -> tuple[tuple[str, str], ...]:
    latency = measurement.latency
    starts = measurement.cold_start_us
    memory = measurement.peak_rss_bytes
    noise = latency.noise if latency else None
    return (
        ("median", _interval(latency.median if latency else None)),
        ("p90", _interval(latency.p90 if latency else None)),
        ("p99", _interval(latency.p99 if latency else None)),
        ("fastest", duration(latency.min_us if latency else None)),
        ("noise", _NOT_KNOWN if noise is None else f"{noise:.1%}"),
        ("cold start", duration(float(np.median(starts)) if starts else None)),
        ("peak memory", byte_size(memory) if memory else _NOT_KNOWN),
    )


def _interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "too few samples"
    return f"{duration(estimate.value)} ({duration(estimate.low)} to {duration(estimate.high)})"


def _marks(measurement: Measurement, scale: Scale) -> tuple[Mark, ...]:
    latency = measurement.latency
    assert latency is not None
    named = (("median", latency.median), ("p90", latency.p90), ("p99", latency.p99))
    return tuple(
        Mark(name=name, text=duration(estimate.value), at=scale.at(estimate.value))
        for name, estimate in named
        if estimate and scale.low <= estimate.value <= scale.high
    )


def _course(minutes: Sequence[Minute]) -> Course:
    scale = scale_over([minute.median_us for minute in minutes], from_zero=True)
    last = max(minutes[-1].minute - 1, 1)
    points = [(100 * (m.minute - 1) / last, scale.at(m.median_us)) for m in minutes]
    rows = tuple(
        (
            str(m.minute),
            duration(m.median_us),
            _NOT_KNOWN if m.celsius is None else f"{m.celsius:.0f} °C",
            m.throttled,
        )
        for m in minutes
    )
    return Course(path=line_path(points), ticks=scale.ticks(3), rows=rows)


def _kernel(kernel: KernelTime) -> Kernel:
    return Kernel(
        name=kernel.name,
        nodes=kernel.nodes,
        mean=duration(kernel.mean_us),
        share=round(100 * kernel.share, 1),
    )


def _rival(rival: Rival) -> tuple[str, str, str]:
    error = _NOT_KNOWN if rival.max_error is None else f"{rival.max_error:.1e}"
    return (f"{rival.name} {rival.version}", rival.failure or duration(rival.median_us), error)
