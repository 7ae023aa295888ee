"""What ``boardwright bench`` is asked for, and what the target adds to it."""

from __future__ import annotations

from builder.bench.comparison import parse_percent
from builder.bench.conditions import parse_cores
from builder.bench.result import Subject
from builder.boards.take import Candidate, Wish
from builder.bundle.manifest import Manifest
from builder.cli.measure_options import BenchFlags
from builder.errors import UsageError
from builder.model.target import BenchDefaults


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
        strict=flags.strict,
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


def allowed_change(flags: BenchFlags) -> float | None:
    """Return what ``--fail-on-regression`` allows, None: anything.

    Raises ``UsageError``: ``bad-percentage``, ``no-baseline``.
    """
    if flags.fail_on_regression is None:
        return None
    if flags.baseline is None:
        raise UsageError(
            "--fail-on-regression compares with a baseline",
            reason="no-baseline",
            remedy="add --baseline REF: a bundle, a release on the board, or a saved result",
        )
    return parse_percent(flags.fail_on_regression)


def _cores(text: str) -> tuple[int, ...]:
    try:
        return parse_cores(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no list of cores", reason="bad-cores", remedy="write it as in: 0,2,4-7"
        ) from None
