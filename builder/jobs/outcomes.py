"""How each part of a job went, from what ``--json`` of build, deploy-remote and bench printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.bench.durations import duration
from builder.errors import BoardwrightError, IntegrityError, MeasurementInvalid

Figures = tuple[tuple[str, str], ...]
"""What was measured, by what it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One target built, one board deployed to, or one measurement taken.

    ``failure`` is None where it went well. ``seconds`` is None where nobody took the time.
    """

    kind: str
    name: str
    seconds: float | None
    failure: BoardwrightError | None
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as the data that ``summary --json`` prints."""
        return {
            "kind": self.kind,
            "name": self.name,
            "seconds": self.seconds,
            "status": "failed" if self.failure else "ok",
            "error": self.failure and self.failure.to_json(),
            "figures": dict(self.figures),
        }


def outcomes_of(text: str | bytes, *, name: str) -> tuple[Outcome, ...]:
    """Return what a document tells; ``name`` is what its job is called.

    A job that was killed leaves half a document or none: that is one failed outcome, and so is a
    document of another kind.
    """
    try:
        document = json.loads(text)
        found = tuple(_outcomes(document, name))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return (_failed(name, _unreadable(name)),)
    return found or (_failed(name, _unreadable(name)),)


def _outcomes(document: Mapping[str, Any], name: str) -> Iterator[Outcome]:
    if "targets" in document:
        yield from map(_build, document["targets"])
    elif "devices" in document:
        for device in document["devices"]:
            yield from _deployment(device)
    elif "measurements" in document:
        yield from map(_measurement, document["measurements"])
        for error in document["errors"]:
            failure = BoardwrightError.from_json(error)
            yield _failed(failure.where or name, failure, kind="bench")
    elif "latency" in document:
        yield _measurement(document)
    elif document["error"]:
        yield _failed(name, BoardwrightError.from_json(document["error"]))


def _build(receipt: Mapping[str, Any]) -> Outcome:
    sizes, verify = receipt["sizes"], receipt["verify"]
    figures = {"cache": str(receipt["cache"]), "verified": str(verify["where"])}
    if verify["max_abs_error"] is not None:
        figures["largest error"] = f"{verify['max_abs_error']:.1e}"
    if sizes:
        figures["archive"] = f"{sizes['archive'] / 1024:.0f} KiB"
    return Outcome(
        kind="build",
        name=str(receipt["target"]),
        seconds=float(receipt["seconds"]),
        failure=_failure(receipt),
        figures=tuple(figures.items()),
    )


def _deployment(device: Mapping[str, Any]) -> Iterator[Outcome]:
    figures = {"release": device.get("release"), "sent bytes": device.get("sent_bytes")}
    yield Outcome(
        kind="deploy",
        name=str(device["device"]),
        seconds=float(device["seconds"]) if "seconds" in device else None,
        failure=_failure(device),
        figures=tuple((key, str(value)) for key, value in figures.items() if value is not None),
    )
    yield from map(_measurement, _measured(device))


def _measured(device: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what was measured on a device; where that failed, it is among the failure's data."""
    told = device if device.get("error") is None else device["error"]["details"]
    found: Sequence[Mapping[str, Any]] = told.get("measurements", ())
    return found


def _measurement(measurement: Mapping[str, Any]) -> Outcome:
    threads = measurement["pace"]["threads"]
    return Outcome(
        kind="bench",
        name=f"{measurement['board']['device']}, {threads} thread{'s' * (threads != 1)}",
        seconds=None,
        failure=_invalid(measurement),
        figures=(
            *_latencies(measurement["latency"] or {}),
            *_verdict(measurement.get("comparison")),
        ),
    )


def _latencies(latency: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("median", "p90", "p99"):
        if estimate := latency.get(name):
            yield name, duration(float(estimate["value"]))


def _verdict(comparison: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if comparison is not None:
        value, low, high = (comparison["change"][key] for key in ("value", "low", "high"))
        change = f"{comparison['verdict']} {value:+.1%} ({low:+.1%} to {high:+.1%})"
        yield f"beside {comparison['baseline']}", change


def _invalid(measurement: Mapping[str, Any]) -> BoardwrightError | None:
    if measurement["status"] == "valid":
        return None
    problem = measurement["problems"][0]
    return MeasurementInvalid(problem["what"], reason=problem["reason"], where=problem["where"])


def _failure(entry: Mapping[str, Any]) -> BoardwrightError | None:
    error = entry.get("error")
    return BoardwrightError.from_json(error) if error else None


def _failed(name: str, failure: BoardwrightError, *, kind: str = "job") -> Outcome:
    return Outcome(kind=kind, name=name, seconds=None, failure=failure, figures=())


def _unreadable(name: str) -> BoardwrightError:
    return IntegrityError("the job left no whole result", reason="result-malformed", where=name)
