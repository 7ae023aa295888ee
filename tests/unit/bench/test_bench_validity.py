"""What makes a measurement mean nothing, and what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.bench.conditions import Conditions, Core, Throttle
from builder.bench.result import Block
from builder.bench.sustained import by_minute
from builder.bench.validity import others_cores, problems, refuse_invalid, throttled
from builder.errors import MeasurementInvalid

QUIET = Conditions(
    boot_id="one",
    uptime_s=100.0,
    cores=tuple(
        Core(number=n, governor="performance", max_khz=1_500_000, busy_ticks=1000) for n in (0, 1)
    ),
    throttles=(
        Throttle(name="get_throttled", kind="firmware", value=0),
        Throttle(name="cpufreq", kind="level", value=0),
        Throttle(name="cpu0 core", kind="counter", value=3),
    ),
    power_mode="MAXN",
)


def block(
    before: Conditions = QUIET,
    after: Conditions = QUIET,
    *,
    others: float | None = 0.0,
    minute: int | None = None,
) -> Block:
    return Block(
        minute=minute,
        latency_us=(10.0, 11.0),
        init_us=1.0,
        peak_rss_bytes=1,
        cpu_us=1e6,
        wall_us=1e6,
        others_cores=others,
        before=before,
        after=after,
    )


def throttle(kind: str, value: int) -> Conditions:
    others = tuple(t for t in QUIET.throttles if t.kind != kind)
    [changed] = (replace(t, value=value) for t in QUIET.throttles if t.kind == kind)
    return replace(QUIET, throttles=(*others, changed))


def cores(**changes: object) -> Conditions:
    return replace(QUIET, cores=tuple(replace(core, **changes) for core in QUIET.cores))  # type: ignore[arg-type]


SPOILERS = {
    "rebooted": replace(QUIET, boot_id="two"),
    "governor-changed": cores(governor="powersave"),
    "power-mode-changed": replace(QUIET, power_mode="5W"),
    "cores-changed": replace(QUIET, cores=QUIET.cores[:1]),
}
THROTTLED = {
    "flag that stands now": throttle("firmware", 0x4),
    "under-voltage now": throttle("firmware", 0x1),
    "flag that has been raised meanwhile": throttle("firmware", 0x40000),
    "cooling device": throttle("level", 2),
    "counter": throttle("counter", 4),
    "lower limit": cores(max_khz=900_000),
}


def reasons(*blocks: Block, sustained: bool = False) -> set[str]:
    return {p.reason for p in problems(blocks, busy_cores=0.2, sustained=sustained)}


def test_a_quiet_board_is_valid() -> None:
    assert problems([block(), block()], busy_cores=0.2, sustained=False) == ()


@pytest.mark.parametrize("reason", SPOILERS)
def test_what_changes_during_a_block_spoils_it(reason: str) -> None:
    assert reasons(block(after=SPOILERS[reason])) == {reason}


@pytest.mark.parametrize("reason", SPOILERS)
def test_what_changes_between_blocks_spoils_them(reason: str) -> None:
    changed = SPOILERS[reason]
    assert reasons(block(), block(changed, changed)) == {reason}


@pytest.mark.parametrize("how", THROTTLED)
def test_throttling_spoils_unless_it_is_what_is_looked_for(how: str) -> None:
    assert reasons(block(after=THROTTLED[how])) == {"throttled"}
    assert reasons(block(after=THROTTLED[how]), sustained=True) == set()


def test_what_happened_before_is_no_problem_now() -> None:
    earlier = throttle("firmware", 0x50000)  # since boot, but not now
    assert reasons(block(earlier, earlier)) == set()
    assert throttled(Conditions(), throttle("counter", 900)) is None


def test_a_busy_board_spoils() -> None:
    assert reasons(block(others=0.5)) == {"busy"}
    assert reasons(block(others=0.1)) == set()
    assert reasons(block(others=None)) == set()


def test_load_is_what_is_not_ours() -> None:
    def after(ticks: int, seconds: float = 2.0) -> Conditions:
        moved = cores(busy_ticks=1000 + ticks)
        return replace(moved, uptime_s=100.0 + seconds)

    # Two cores, 200 ticks each in two seconds: fully busy. Ours was one of them.
    assert others_cores(QUIET, after(200), cpu_us=2e6) == pytest.approx(1.0, abs=0.02)
    assert others_cores(QUIET, after(100), cpu_us=2e6) == 0
    assert others_cores(QUIET, after(0, seconds=0), cpu_us=0) is None
    assert others_cores(Conditions(), Conditions(), cpu_us=0) is None


def test_all_reasons_are_told() -> None:
    found = problems(
        [block(after=SPOILERS["rebooted"], others=2.0)], busy_cores=0.2, sustained=False
    )
    with pytest.raises(MeasurementInvalid) as caught:
        refuse_invalid(found, where="pi", state="saved as x.json")
    assert caught.value.reason == "rebooted"
    assert [p["reason"] for p in caught.value.details["problems"]] == ["rebooted", "busy"]


def test_minutes_are_summed_up() -> None:
    hot = throttle("level", 1)
    minutes = by_minute([block(minute=1), block(minute=1), block(after=hot, minute=2), block()])
    assert [(m.minute, m.samples, m.throttled) for m in minutes] == [(1, 4, False), (2, 2, True)]
