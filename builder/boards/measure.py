"""Measure a bundle on one board, or a new and an old one in turns; judge what was taken."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass

from builder.bench import statistics
from builder.bench.comparison import LEAST_PAIRS, compare, first_of_pair
from builder.bench.durations import duration
from builder.bench.pinning import choose_cores, fitting
from builder.bench.result import Block, Board, Measurement, Pace, Problem
from builder.bench.sustained import by_minute
from builder.bench.validity import problems, problems_of_last, refuse_invalid, spoilt, too_few
from builder.boards.commands import refuse_cancelled
from builder.boards.governor import governed
from builder.boards.snapshot import survey
from builder.boards.take import (
    Candidate,
    Site,
    Taken,
    Wish,
    take_block,
    take_cold_starts,
    take_profile,
)
from builder.errors import BoardwrightError
from builder.ports import Clock, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a measurement needs beside the board. See ``Site`` for the fields."""

    clock: Clock
    token: Callable[[], str]
    cancel: threading.Event
    tell: Callable[[str], None]
    still: Callable[[], None] = lambda: None
    sysfs_root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. ``failure`` is why it ended early; the measurements hold what was taken.

    ``boot_id`` is of the boot that the board was in when it all began.
    """

    new: Measurement
    old: Measurement | None
    failure: BoardwrightError | None
    boot_id: str | None


def bench_board(
    transport: Transport,
    device: str,
    wish: Wish,
    threads: tuple[int, ...],
    world: World,
    new: Candidate,
    old: Candidate | None = None,
) -> tuple[Outcome, ...]:
    """Measure with each number of ``threads`` that the board has cores for, under one governor.

    Stops after an outcome with a failure. Raises what keeps it from beginning: ``DeviceLost``,
    ``DeviceRefused``, ``UsageError`` ``too-few-cores`` for chosen cores that are not there.
    """
    outcomes: list[Outcome] = []
    token, root = world.token(), world.sysfs_root
    with governed(transport, wish.governor, token=token, sysfs_root=root):
        site = _arrive(transport, device, world)
        for number in fitting(site.conditions, threads):
            outcomes.append(measure(site, dataclasses.replace(wish, threads=number), new, old))
            if outcomes[-1].failure:
                break
    return tuple(outcomes)


def measure(site: Site, wish: Wish, new: Candidate, old: Candidate | None = None) -> Outcome:
    """Measure ``new``, and ``old`` in turns with it, on one board and boot.

    Returns what was taken also when the board was lost or the user stopped it. Raises
    ``UsageError`` ``too-few-cores``.
    """
    cores = wish.cores or choose_cores(site.conditions, wish.threads)
    pinned = dataclasses.replace(wish, cores=cores)
    taken = {"new": Taken(candidate=new)} | ({"old": Taken(candidate=old)} if old else {})
    failure = _take_all(site, pinned, taken)
    made = {name: _judged(site, pinned, each, failure) for name, each in taken.items()}
    return Outcome(
        new=_compared(made),
        old=made.get("old"),
        failure=failure,
        boot_id=site.conditions.boot_id,
    )


def _arrive(transport: Transport, device: str, world: World) -> Site:
    identity, conditions = survey(
        transport, token=world.token(), sysfs_root=world.sysfs_root, where=device
    )
    return Site(
        transport=transport,
        device=device,
        identity=identity,
        conditions=conditions,
        sysfs_root=world.sysfs_root,
        clock=world.clock,
        token=world.token,
        cancel=world.cancel,
        tell=world.tell,
        still=world.still,
    )


def _take_all(site: Site, wish: Wish, taken: dict[str, Taken]) -> BoardwrightError | None:
    try:
        for each in taken.values():
            take_cold_starts(site, wish, each)
        if wish.sustained_minutes:
            _sustain(site, wish, taken)
        else:
            for turn in range(wish.blocks):
                _take_turn(site, wish, taken, turn, minute=None)
        take_profile(site, wish, taken["new"])
    except BoardwrightError as error:
        return error
    return None


def _sustain(site: Site, wish: Wish, taken: dict[str, Taken]) -> None:
    start_s = site.clock.monotonic_s()
    turn = 0
    while (minute := int((site.clock.monotonic_s() - start_s) // 60)) < wish.sustained_minutes:
        _take_turn(site, wish, taken, turn, minute=minute + 1)
        turn += 1


def _take_turn(
    site: Site, wish: Wish, taken: dict[str, Taken], turn: int, *, minute: int | None
) -> None:
    for name in sorted(taken, key=lambda name: name != first_of_pair(turn)):
        refuse_cancelled(site.cancel, site.device)
        site.still()
        block = take_block(site, wish, taken[name], minute=minute)
        place = f"minute {minute}" if minute else f"block {turn + 1} of {wish.blocks}"
        found = problems_of_last(
            taken[name].blocks, busy_cores=wish.busy_cores, sustained=minute is not None
        )
        spoilt_by = f"; INVALID: {found[0].what}" if found else ""
        site.tell(f"{taken[name].candidate.label}: {place}: {_summary(block)}{spoilt_by}")
        if wish.strict:
            refuse_invalid(found, where=site.device, state="the measurement was ended")


def _summary(block: Block) -> str:
    runs = len(block.latency_us)
    return f"median {duration(statistics.middle(block.latency_us))} of {runs} runs"


def _judged(site: Site, wish: Wish, taken: Taken, failure: BoardwrightError | None) -> Measurement:
    blocks = tuple(taken.blocks)
    sustained = bool(wish.sustained_minutes)
    found = problems(blocks, busy_cores=wish.busy_cores, sustained=sustained)
    if taken.around_starts is not None:
        found = (*spoilt(*taken.around_starts, "cold starts", sustained=sustained), *found)
    latency = statistics.latency([block.latency_us for block in blocks]) if blocks else None
    found = (*found, *too_few(latency))
    if failure is not None:
        found = (*found, Problem(reason=failure.reason, where="the end", what=failure.what))
    return Measurement(
        status="invalid" if found else "valid",
        taken_utc=site.clock.now_utc_iso(),
        subject=taken.subject,
        board=_board(site),
        pace=_pace(wish),
        latency=latency,
        cold_start_us=taken.cold_start_us,
        init_us=statistics.middle([block.init_us for block in blocks]) if blocks else None,
        peak_rss_bytes=max((block.peak_rss_bytes for block in blocks), default=None),
        blocks=blocks,
        minutes=by_minute(blocks),
        kernels=taken.kernels,
        problems=found,
        comparison=None,
        rivals=(),
    )


def _board(site: Site) -> Board:
    return Board(
        device=site.device,
        machine=site.identity.machine,
        kernel=site.identity.kernel,
        cpu=site.identity.cpu,
        cores=len(site.conditions.cores),
    )


def _pace(wish: Wish) -> Pace:
    return Pace(
        threads=wish.threads,
        cores=wish.cores,
        warmup=wish.warmup,
        min_runs=wish.min_runs,
        min_seconds=wish.min_seconds,
        blocks=wish.blocks,
        sustained_minutes=wish.sustained_minutes,
        governor=wish.governor,
    )


def _compared(made: dict[str, Measurement]) -> Measurement:
    """Return the new measurement, with the verdict where both are valid and long enough."""
    new, old = made["new"], made.get("old")
    if old is None or "invalid" in (new.status, old.status) or len(new.blocks) < LEAST_PAIRS:
        return new
    new_blocks, old_blocks = ([block.latency_us for block in m.blocks] for m in (new, old))
    label = old.subject.release or old.subject.sha256[:16]
    return dataclasses.replace(new, comparison=compare(new_blocks, old_blocks, baseline=label))
