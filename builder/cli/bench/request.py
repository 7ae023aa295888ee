"""What ``boardwright bench`` is asked for, and what the target adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.bench.comparison import parse_percent
from builder.bench.conditions import parse_cores
from builder.bench.result import Subject
from builder.bench.validity import BUSY_CORES
from builder.boards.take import Candidate, Wish
from builder.bundle.manifest import Manifest
from builder.errors import UsageError
from builder.model.target import BenchDefaults

SECONDS = 10.0
BLOCKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFlags:
    """The options of ``bench`` that say how to measure, as click gives them."""

    threads: tuple[int, ...] = ()
    cores: str | None = None
    runs: int | None = None
    seconds: float = SECONDS
    warmup: int | None = None
    blocks: int = BLOCKS
    baseline: str | None = None
    governor: str | None = None
    sustained: int = 0
    allow_load: float = BUSY_CORES
    wait_s: int = 0
    target_folders: tuple[Path, ...] = ()


def wish_of(flags: BenchFlags, defaults: BenchDefaults) -> Wish:
    """Return how to measure a board; its number of threads is still open (0)."""
    return Wish(
        threads=0,
        cores=_cores(flags.cores) if flags.cores else (),
        warmup=defaults.warmup if flags.warmup is None else flags.warmup,
        min_runs=flags.runs or defaults.min_runs,
        min_seconds=flags.seconds,
        blocks=flags.blocks,
        sustained_minutes=flags.sustained,
        governor=flags.governor,
        busy_cores=flags.allow_load,
    )


def threads_of(flags: BenchFlags, defaults: BenchDefaults) -> tuple[int, ...]:
    """Return the numbers of threads to measure with. Raises ``UsageError`` ``bad-cores``."""
    if flags.cores:
        return (len(_cores(flags.cores)),)
    return flags.threads or defaults.threads


def candidate(folder: str, manifest: Manifest, sha256: str, *, release: str | None) -> Candidate:
    """Return a bundle on a board, as it is to be measured; ``sha256`` is its manifest's."""
    subject = Subject(
        model=manifest.model, target=manifest.target, sha256=sha256, release=release, kernels=""
    )
    return Candidate(folder=folder, subject=subject, label=release or sha256[:12])


def allowed_change(percentage: str | None, baseline: str | None) -> float | None:
    """Return what ``--fail-on-regression`` allows, None: anything.

    Raises ``UsageError``: ``bad-percentage``, ``no-baseline``.
    """
    if percentage is None:
        return None
    if baseline is None:
        raise UsageError(
            "--fail-on-regression compares with a baseline",
            reason="no-baseline",
            remedy="add --baseline REF: a bundle, a release on the board, or a saved result",
        )
    return parse_percent(percentage)


def _cores(text: str) -> tuple[int, ...]:
    try:
        return parse_cores(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no list of cores", reason="bad-cores", remedy="write it as in: 0,2,4-7"
        ) from None
