"""``bin/run`` of a bundle on a board: its command lines, and its documents, which are data only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from builder.bench.conditions import TEXT_LIMIT
from builder.bench.result import KernelTime
from builder.errors import DeviceRefused, MeasurementInvalid

MOST_SAMPLES = 1_000_000  # the runner stops at so many, whatever it is asked
_MOST_KERNELS = 20_000
_MOST_NODES = 200
_NAME_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """What ``--bench`` said: times in microseconds, samples in the order taken."""

    cpu: str
    samples: tuple[float, ...]
    init_us: float
    cpu_us: float
    peak_rss_bytes: int


def command(
    bundle: str, mode: str, *, threads: int, cores: Sequence[int], **options: float
) -> tuple[str, ...]:
    """Return the argv of a mode (``bench``); ``options`` go by their names (``min_seconds``)."""
    pinned = ("--cores", ",".join(map(str, cores))) if cores else ()
    rest = [
        word
        for name, value in options.items()
        for word in (f"--{name.replace('_', '-')}", f"{value:g}")
    ]
    where = f"{bundle}/bin/run"
    return (where, f"--{mode}", "--json", "--threads", str(threads), *pinned, *rest)


def parse_bench(text: bytes) -> BenchReport:
    """Return what ``--bench --json`` printed. Raises ``MeasurementInvalid`` ``bad-report``."""
    with _parsing():
        document = json.loads(text)
        return BenchReport(
            cpu=_text(document["cpu"]),
            samples=_times(document["latency_us"]["samples"]),
            init_us=_time(document["init_us"]),
            cpu_us=_time(document["cpu_us"]),
            peak_rss_bytes=int(document["peak_rss_bytes"]),
        )


def parse_cold_start(text: bytes) -> tuple[float, ...]:
    """Return the samples of ``--cold-start --json``, in microseconds."""
    with _parsing():
        return _times(json.loads(text)["cold_start_us"]["samples"])


def parse_profile(text: bytes) -> tuple[KernelTime, ...]:
    """Return the kernels of ``--profile --json``, the slowest first."""
    with _parsing():
        return tuple(_kernel(kernel) for kernel in json.loads(text)["kernels"][:_MOST_KERNELS])


CANNOT_START = 126
"""What ``--cold-start`` ends with where the board does not start the program by itself."""


def refuse_failure(status: int, stderr: bytes, *, where: str) -> None:
    """Raise ``DeviceRefused`` ``runner-failed`` unless the runner ended well."""
    if status == 0:
        return
    said = stderr.decode("utf-8", "replace").strip().splitlines()
    raise DeviceRefused(
        f"bin/run ended with status {status}",
        reason="runner-failed",
        where=where,
        why=said[-1][:_NAME_LIMIT].removeprefix("run: ") if said else None,
        remedy="run its check on the board: bin/run --check",
    )


def _kernel(kernel: Any) -> KernelTime:
    return KernelTime(
        name=_text(kernel["name"]),
        nodes=tuple(_text(node) for node in kernel["nodes"][:_MOST_NODES]),
        mean_us=_not_negative(kernel["mean_us"]),
        share=min(1.0, _not_negative(kernel["share"])),
    )


def _times(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or not 0 < len(values) <= MOST_SAMPLES:
        raise ValueError("no samples")
    return tuple(_time(value) for value in values)


def _time(value: Any) -> float:
    if (number := _not_negative(value)) == 0:
        raise ValueError("no time")
    return number


def _not_negative(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("no time")
    return round(number, 3)  # nanoseconds are all that the clock has


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    # JSON can spell half a character, which no file can hold.
    return value[:_NAME_LIMIT].encode("utf-8", "replace").decode()


@contextmanager
def _parsing() -> Iterator[None]:
    """Turn what a hostile or broken runner can print into one failure."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise MeasurementInvalid(
            "the runner's report makes no sense",
            reason="bad-report",
            why=f"{type(error).__name__}: {error}"[:TEXT_LIMIT],
            remedy="push the bundle again",
        ) from error
