"""Measurements for people: a few lines each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder.bench.durations import duration
from builder.bench.result import Comparison, Estimate, Measurement, lead, measurement_to_json
from builder.report.summary import aligned
from builder.report.wording import byte_size, safe

COLUMNS = (
    *("device", "model", "bundle", "target", "threads", "median", "95% interval", "p90", "p99"),
    *("noise", "cold start", "memory", "state"),
)


def bench_lines(
    measurements: Sequence[Measurement], baselines: Sequence[Measurement] = ()
) -> list[str]:
    """Return the table of measurements, then what there is to say about single ones.

    ``baselines`` are those among them that others were compared with.
    """
    rows = [_row(one, is_baseline=any(one is other for other in baselines)) for one in measurements]
    lines = aligned([COLUMNS, *rows])
    for measurement in measurements:
        place = safe(f"{measurement.board.device}, {threads(measurement.pace.threads)}")
        if measurement.comparison:
            lines.append(f"{place}: {verdict(measurement.comparison)}")
        for minute in measurement.minutes:
            heat = f", {minute.celsius:.0f} C" if minute.celsius is not None else ""
            state = ", throttled" if minute.throttled else ""
            median = duration(minute.median_us)
            lines.append(f"{place}: minute {minute.minute}: {median}{heat}{state}")
        for rival in measurement.rivals:
            error = f", error {rival.max_error:.1e}" if rival.max_error is not None else ""
            said = rival.failure or f"median {duration(rival.median_us)}{error}"
            lines.append(safe(f"{place}: {rival.name} {rival.version}: {said}"))
        if ratio := lead(measurement.rivals):
            lines.append(f"{place}: {ratio:.2f} times as fast as the best other runtime")
    return lines


def brief(measurement: Measurement) -> str:
    """Return a measurement as a clause: ``1 thread: 12.3 ms, 0.4% noise, 4.8% faster than …``."""
    latency = measurement.latency
    median = duration(latency.median.value if latency and latency.median else None)
    noise = f", {latency.noise:.1%} noise" if latency and latency.noise is not None else ""
    compared = f", {verdict(measurement.comparison)}" if measurement.comparison else ""
    return f"{threads(measurement.pace.threads)}: {median}{noise}{compared}"


def verdict(comparison: Comparison) -> str:
    """Return a comparison as a clause: ``4.8% faster than a1b2c3 (-5.2% to -4.4%)``."""
    change = comparison.change
    bounds = f"({change.low:+.1%} to {change.high:+.1%})"
    if comparison.verdict == "no-difference":
        return f"no difference from {comparison.baseline} {bounds}"
    return f"{abs(change.value):.1%} {comparison.verdict} than {comparison.baseline} {bounds}"


def bench_document(
    measurements: Sequence[tuple[Measurement, Path]], errors: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return what ``bench --json`` prints: all but the raw blocks, which are in the files."""
    return {
        "status": "failed" if errors else "ok",
        "measurements": [without_samples(measurement, path) for measurement, path in measurements],
        "error": errors[0] if errors else None,
        "errors": list(errors),
    }


def without_samples(measurement: Measurement, path: Path) -> dict[str, Any]:
    """Return a measurement as documents hold it: all but the blocks, and the file with those."""
    fields = measurement_to_json(measurement)
    del fields["blocks"]
    return {"file": str(path), **fields}


def _row(measurement: Measurement, *, is_baseline: bool) -> tuple[str, ...]:
    latency, subject = measurement.latency, measurement.subject
    starts = sorted(measurement.cold_start_us)
    return (
        safe(measurement.board.device),
        safe(subject.model),
        safe(subject.release or subject.sha256[:12]) + (" (baseline)" if is_baseline else ""),
        safe(subject.target),
        str(measurement.pace.threads),
        _value(latency.median if latency else None),
        _interval(latency.median if latency else None),
        _value(latency.p90 if latency else None),
        _value(latency.p99 if latency else None),
        f"{latency.noise:.1%}" if latency and latency.noise is not None else "-",
        duration(starts[len(starts) // 2]) if starts else "-",
        byte_size(measurement.peak_rss_bytes) if measurement.peak_rss_bytes else "-",
        measurement.status,
    )


def _value(estimate: Estimate | None) -> str:
    return duration(estimate.value if estimate else None)


def _interval(estimate: Estimate | None) -> str:
    return f"{duration(estimate.low)} to {duration(estimate.high)}" if estimate else "-"


def threads(count: int) -> str:
    """Return ``1 thread`` or ``4 threads``."""
    return "1 thread" if count == 1 else f"{count} threads"
