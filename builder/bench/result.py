"""A measurement: one model on one board with one number of threads, as it is kept and compared.

This is the content of a result file. Times are microseconds, memory is bytes. The samples stay raw
and in the order they were taken; everything else in here can be computed again from them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from builder.bench.conditions import Conditions
from builder.errors import IntegrityError

FORMAT = 1
"""Of a result file. A reader refuses any other."""

LARGEST_RESULT_BYTES = 256 << 20

Status = Literal["valid", "invalid"]
Verdict = Literal["faster", "slower", "no-difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with the bounds of its 95% confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What the samples say. A percentile is None where there are too few samples for it.

    ``noise`` is the standard deviation of the blocks' medians over their mean: how much one block
    differs from the next; None for a single block.
    """

    samples: int
    median: Estimate | None
    p90: Estimate | None
    p99: Estimate | None
    min_us: float
    mean_us: float
    noise: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One process of the runner: its samples, and the board just before and just after it.

    ``minute`` counts from 1 in a sustained measurement, else it is None. ``cpu_us`` is the
    processor time of that process, ``wall_us`` the time between the two snapshots;
    ``others_cores`` is how many cores other processes kept busy meanwhile, None where the board
    does not tell.
    """

    minute: int | None
    latency_us: tuple[float, ...]
    init_us: float
    peak_rss_bytes: int
    cpu_us: float
    wall_us: float | None
    others_cores: float | None
    before: Conditions
    after: Conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One minute of a sustained measurement. ``celsius`` is the hottest zone at its end."""

    minute: int
    median_us: float
    samples: int
    throttled: bool
    celsius: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTime:
    """One kernel of a profile, with the ONNX nodes it came from; ``share`` is of all kernels."""

    name: str
    nodes: tuple[str, ...]
    mean_us: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a measurement means nothing: a slug, where in it, and a sentence."""

    reason: str
    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """New against old, interleaved on one board and boot.

    ``change`` is the new median latency over the old one, minus one: -0.05 is 5% faster.
    ``baseline`` says what the old one is, ``baseline_median_us`` is its median latency.
    """

    verdict: Verdict
    change: Estimate
    baseline: str
    baseline_median_us: float


OURS = "boardwright"
"""The rival that is the bundle itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A runtime on this machine, in turns with the others in one process.

    ``max_error`` is its largest difference from ONNX Runtime's outputs over their largest value;
    ``failure`` says why it has no times, where it has none.
    """

    name: str
    version: str
    median_us: float | None
    p90_us: float | None
    max_error: float | None
    failure: str | None


def lead(rivals: Sequence[Rival]) -> float | None:
    """Return the best other runtime's median over ours: above one, ours is faster."""
    medians = {rival.name: rival.median_us for rival in rivals if rival.median_us}
    ours = medians.pop(OURS, None)
    return min(medians.values()) / ours if ours and medians else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What was measured on. ``machine`` and ``kernel`` are the board's own words."""

    device: str
    machine: str
    kernel: str
    cpu: str
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was measured: a bundle by the SHA-256 of its manifest; ``kernels`` is its CPU variant.

    ``release`` is its name on the board, None for a folder.
    """

    model: str
    target: str
    sha256: str
    release: str | None
    kernels: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How it was measured: blocks of at least so many runs and seconds, after a warm-up each."""

    threads: int
    cores: tuple[int, ...]
    warmup: int
    min_runs: int
    min_seconds: float
    blocks: int
    sustained_minutes: int
    governor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One result. ``cold_start_us`` are times from exec to the first output, one a process."""

    status: Status
    taken_utc: str
    subject: Subject
    board: Board
    pace: Pace
    latency: Latency | None
    cold_start_us: tuple[float, ...]
    init_us: float | None
    peak_rss_bytes: int | None
    blocks: tuple[Block, ...]
    minutes: tuple[Minute, ...]
    kernels: tuple[KernelTime, ...]
    problems: tuple[Problem, ...]
    comparison: Comparison | None
    rivals: tuple[Rival, ...]


def measurement_to_json(measurement: Measurement) -> dict[str, Any]:
    """Return the content of a result file."""
    return {"format": FORMAT, **dataclasses.asdict(measurement)}


def measurement_from_json(text: str | bytes, *, where: str) -> Measurement:
    """Rebuild what ``measurement_to_json`` gave, from its text; ``where`` names it in failures.

    Raises ``IntegrityError``: ``result-format`` for one of another format, ``result-malformed``
    for anything else.
    """
    from pydantic import TypeAdapter, ValidationError  # 60 ms that only readers pay

    try:
        fields = json.loads(text)
        found = fields.pop("format", None)
        if found != FORMAT:
            raise _other_format(found, where)
        return TypeAdapter(Measurement).validate_json(json.dumps(fields), strict=True)
    except (ValueError, AttributeError, TypeError, RecursionError, ValidationError) as error:
        raise IntegrityError(
            "not a result that boardwright bench wrote", reason="result-malformed", where=where
        ) from error


def _other_format(found: object, where: str) -> IntegrityError:
    return IntegrityError(
        f"result format {str(found)[:20]!r}, but this program reads format {FORMAT}",
        reason="result-format",
        where=where,
        remedy="use the boardwright that measured it, or measure again",
    )
