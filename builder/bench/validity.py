"""Did the board stay itself while it was measured? Reasons why not, from what it said of itself.

Nothing is guessed: a board that does not tell of a thing gives no reason about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from builder.bench.conditions import Conditions, Throttle
from builder.bench.result import Block, Latency, Problem
from builder.errors import MeasurementInvalid

BUSY_CORES = 0.2
"""How many cores other processes may keep busy, unless told otherwise."""

_THROTTLES_NOW = 0xF  # Raspberry Pi: under-voltage, capped, throttled, soft temperature limit
_SINCE_BOOT = 16


def problems(blocks: Sequence[Block], *, busy_cores: float, sustained: bool) -> tuple[Problem, ...]:
    """Return every reason why these blocks mean nothing; none: they are valid.

    ``sustained`` measurements are there to see throttling, which is then no problem.
    """
    found: list[Problem] = []
    for number, block in enumerate(blocks, 1):
        found += spoilt(block.before, block.after, f"block {number}", sustained=sustained)
        found += _busy(block, f"block {number}", busy_cores)
    for number, (last, following) in enumerate(pairwise(blocks), 1):
        gap = f"between blocks {number} and {number + 1}"
        found += spoilt(last.after, following.before, gap, sustained=sustained)
    return tuple(found)


def problems_of_last(
    blocks: Sequence[Block], *, busy_cores: float, sustained: bool
) -> tuple[Problem, ...]:
    """Return what is wrong with the last block, as far as it is known when it ends."""
    *earlier, block = blocks
    where = f"block {len(blocks)}"
    found = [*spoilt(block.before, block.after, where, sustained=sustained)]
    if earlier:
        found += spoilt(earlier[-1].after, block.before, f"before {where}", sustained=sustained)
    return (*found, *_busy(block, where, busy_cores))


def too_few(latency: Latency | None) -> Iterator[Problem]:
    """Yield the problem of samples that do not even tell a median."""
    if latency is not None and latency.median is None:
        what = f"too few samples: {latency.samples} runs tell no median"
        yield Problem(reason="too-few-samples", where="all blocks", what=what)


def spoilt(
    before: Conditions, after: Conditions, where: str, *, sustained: bool
) -> Iterator[Problem]:
    """Yield every reason why the board was not itself between two moments, ``where`` they lie."""
    if before.boot_id != after.boot_id:
        yield Problem(reason="rebooted", where=where, what="the board has another boot id")
    for old, new in zip(before.cores, after.cores, strict=False):
        if old.number == new.number and old.governor != new.governor:
            change = f"core {new.number}: governor {old.governor} became {new.governor}"
            yield Problem(reason="governor-changed", where=where, what=change)
    if before.power_mode != after.power_mode:
        change = f"power mode {before.power_mode} became {after.power_mode}"
        yield Problem(reason="power-mode-changed", where=where, what=change)
    if len(before.cores) != len(after.cores):
        change = f"{len(before.cores)} cores became {len(after.cores)}"
        yield Problem(reason="cores-changed", where=where, what=change)
    if not sustained and (sign := throttled(before, after)):
        yield Problem(reason="throttled", where=where, what=f"the board throttled: {sign}")


def throttled(before: Conditions, after: Conditions) -> str | None:
    """Return what tells that the board throttled between two moments, None where nothing does."""
    earlier = {(t.kind, t.name): t.value for t in before.throttles}
    for throttle in after.throttles:
        if _throttles(throttle, earlier.get((throttle.kind, throttle.name))):
            return throttle.name
    return _capped(before, after)


def others_cores(before: Conditions, after: Conditions, *, cpu_us: float) -> float | None:
    """Return how many cores other processes kept busy between two moments.

    ``cpu_us`` is the processor time of the measured process. None where the board does not tell.
    """
    ticks = _ticks(before, after)
    if ticks is None or before.uptime_s is None or after.uptime_s is None:
        return None
    seconds = after.uptime_s - before.uptime_s
    if seconds <= 0:
        return None
    busy_s = ticks / before.ticks_per_s - cpu_us / 1e6
    # The kernel counts whole ticks on each core, at either end of the block.
    slack_s = len(after.cores) / before.ticks_per_s
    return max(0.0, busy_s - slack_s) / seconds


def refuse_invalid(found: Sequence[Problem], *, where: str, state: str) -> None:
    """Raise ``MeasurementInvalid`` with the first reason, all of them in ``details``."""
    if not found:
        return
    more = f" (the first of {len(found)} reasons)" if len(found) > 1 else ""
    raise MeasurementInvalid(
        f"the measurement is invalid: {found[0].where}: {found[0].what}{more}",
        reason=found[0].reason,
        where=where,
        state=state,
        remedy=_REMEDIES.get(found[0].reason),
        details={
            "problems": [{"reason": p.reason, "where": p.where, "what": p.what} for p in found]
        },
    )


_REMEDIES = {
    "busy": "stop what else runs on the board, or allow it with --allow-load CORES",
    "throttled": "cool the board or feed it better, or see how it ends with --sustained MINUTES",
    "governor-changed": "let nothing else set the governor; see --set-governor",
    "too-few-samples": "measure for longer: --seconds SECONDS, or at least --runs 20",
    "rebooted": "measure again; look at the board's power supply if it goes on",
}


def _busy(block: Block, where: str, busy_cores: float) -> Iterator[Problem]:
    if block.others_cores is not None and block.others_cores > busy_cores:
        what = f"other processes kept {block.others_cores:.2f} cores busy, {busy_cores:.2f} may be"
        yield Problem(reason="busy", where=where, what=what)


def _throttles(throttle: Throttle, earlier: int | None) -> bool:
    match throttle.kind:
        case "level":
            return throttle.value > 0
        case "counter":
            return earlier is not None and throttle.value > earlier
        case "firmware":
            since = (throttle.value & ~(earlier or 0)) >> _SINCE_BOOT
            return bool(throttle.value & _THROTTLES_NOW) or (earlier is not None and since != 0)
    return False


def _capped(before: Conditions, after: Conditions) -> str | None:
    highest = {core.number: core.max_khz for core in before.cores}
    for core in after.cores:
        earlier = highest.get(core.number)
        if core.max_khz is not None and earlier is not None and core.max_khz < earlier:
            return f"core {core.number} limited from {earlier} to {core.max_khz} kHz"
    return None


def _ticks(before: Conditions, after: Conditions) -> int | None:
    earlier = {core.number: core.busy_ticks for core in before.cores}
    differences = [
        core.busy_ticks - start
        for core in after.cores
        if core.busy_ticks is not None and (start := earlier.get(core.number)) is not None
    ]
    return sum(differences) if differences else None
