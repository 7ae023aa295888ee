"""Take the raw figures of one bundle on a board: blocks of runs, cold starts, a profile."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builder.bench.conditions import Conditions
from builder.bench.result import Block, KernelTime, Subject
from builder.bench.validity import others_cores
from builder.boards import runner
from builder.boards.snapshot import Identity, Observed, observe
from builder.ports import Clock, Transport

_STARTS = 10
_SUSTAINED_BLOCK_S = 5.0
_LONGEST_RUN_S = 900.0
_MOST_SAMPLES = 1_000_000
"""Of all blocks together: a file of them has about 8 MB."""
_LEAST_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A board at hand. ``token`` gives 16 random hexadecimal digits; ``tell`` hears of progress.

    ``still`` raises once the board is no longer ours to measure. ``sysfs_root`` stands before
    ``/sys`` and ``/proc`` there; empty on every real board.
    """

    transport: Transport
    device: str
    identity: Identity
    conditions: Conditions
    sysfs_root: str
    clock: Clock
    token: Callable[[], str]
    cancel: threading.Event
    tell: Callable[[str], None]
    still: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A bundle that lies on the board in ``folder``. ``label`` names it for people."""

    folder: str
    subject: Subject
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to measure, on ``threads`` cores that are pinned; ``cores`` empty: any.

    ``min_runs`` and ``min_seconds`` are for all ``blocks`` together, ``warmup`` for each.
    ``busy_cores`` is how many cores others may keep busy. A ``strict`` measurement ends at the
    first block that is invalid.
    """

    threads: int
    cores: tuple[int, ...]
    warmup: int
    min_runs: int
    min_seconds: float
    blocks: int
    sustained_minutes: int
    governor: str | None
    busy_cores: float
    strict: bool = False


@dataclass(slots=True, kw_only=True)
class Taken:
    """What has been measured of one candidate so far.

    ``around_starts`` is the board before and after its cold starts, None where there were none.
    """

    candidate: Candidate
    kernels_for: str = ""
    cold_start_us: tuple[float, ...] = ()
    around_starts: tuple[Conditions, Conditions] | None = None
    blocks: list[Block] = dataclasses.field(default_factory=list)
    kernels: tuple[KernelTime, ...] = ()

    @property
    def subject(self) -> Subject:
        return dataclasses.replace(self.candidate.subject, kernels=self.kernels_for)


def take_cold_starts(site: Site, wish: Wish, taken: Taken) -> None:
    """Time new processes, from exec to the first output.

    Raises ``DeviceRefused`` ``runner-failed``, and as ``observe`` does.
    """
    seen = _run(site, wish, taken, "cold-start", runs=_STARTS)
    # A board that cannot start the program by itself (an emulator without binfmt) has no figure.
    if seen.status == runner.CANNOT_START:
        return
    runner.refuse_failure(seen.status, seen.stderr, where=site.device)
    taken.cold_start_us = runner.parse_cold_start(seen.stdout)
    taken.around_starts = (seen.before, seen.after)


def take_profile(site: Site, wish: Wish, taken: Taken) -> None:
    """Time each kernel."""
    seen = _run(site, wish, taken, "profile", warmup=wish.warmup)
    runner.refuse_failure(seen.status, seen.stderr, where=site.device)
    taken.kernels = runner.parse_profile(seen.stdout)


def take_block(site: Site, wish: Wish, taken: Taken, *, minute: int | None) -> Block:
    """Run one process of the runner between two looks at the board; add what it measured.

    Raises ``DeviceRefused`` ``runner-failed``, and as ``observe`` does.
    """
    seconds = wish.min_seconds / wish.blocks if minute is None else _SUSTAINED_BLOCK_S
    runs = math.ceil(wish.min_runs / wish.blocks) if minute is None else 1
    seen = _run(site, wish, taken, "bench", warmup=wish.warmup, runs=runs, min_seconds=seconds)
    runner.refuse_failure(seen.status, seen.stderr, where=site.device)
    report = runner.parse_bench(seen.stdout)
    taken.kernels_for = report.cpu
    kept = max(_LEAST_KEPT, _MOST_SAMPLES // wish.blocks) if minute is None else _LEAST_KEPT
    taken.blocks.append(_block(report, seen, minute, kept))
    return taken.blocks[-1]


def _run(site: Site, wish: Wish, taken: Taken, mode: str, **options: float) -> Observed:
    words = runner.command(
        taken.candidate.folder, mode, threads=wish.threads, cores=wish.cores, **options
    )
    return observe(
        site.transport,
        words,
        token=site.token(),
        where=f"{site.device}: run --{mode}",
        cancel=site.cancel,
        sysfs_root=site.sysfs_root,
        timeout_s=_LONGEST_RUN_S + 2 * options.get("min_seconds", 0),
    )


def _block(report: runner.BenchReport, seen: Observed, minute: int | None, kept: int) -> Block:
    return Block(
        minute=minute,
        latency_us=report.samples[:: math.ceil(len(report.samples) / kept)],
        init_us=report.init_us,
        peak_rss_bytes=report.peak_rss_bytes,
        cpu_us=report.cpu_us,
        wall_us=_wall_us((seen.before, seen.after)),
        others_cores=others_cores(seen.before, seen.after, cpu_us=report.cpu_us),
        before=seen.before,
        after=seen.after,
    )


def _wall_us(moments: Sequence[Conditions]) -> float | None:
    start_s, end_s = (moment.uptime_s for moment in moments)
    return None if start_s is None or end_s is None else round((end_s - start_s) * 1e6)
