"""What a board says of itself, parsed; and what it must not be able to do by saying it."""

from __future__ import annotations

import pytest

from builder.bench.conditions import (
    Clock,
    Conditions,
    Core,
    Temperature,
    Throttle,
    parse_conditions,
    parse_cores,
)

RASPBERRY = """\
boot-id 0b9f7c52-8d8c-4d3c-9d7c-2f2a1c0c9f11
ticks 100
allowed 0-1
core 0 group 0
on-battery 0
firmware 0x50000 get_throttled
level 0 cpufreq-cpu0
counter 7 cpu0 core throttle count
clock 1600000000 57000000.gpu
clock fast emc
zone 48686 cpu-thermal
core 0 governor ondemand
core 0 current 1500000
core 0 min 600000
core 0 max 1500000
core 0 limit 1800000
core 0 busy 497213
core 1 busy 606545
uptime 12452.15 13585.05
"""


def test_a_snapshot_is_read_fact_by_fact() -> None:
    assert parse_conditions(RASPBERRY) == Conditions(
        boot_id="0b9f7c52-8d8c-4d3c-9d7c-2f2a1c0c9f11",
        uptime_s=12452.15,
        ticks_per_s=100,
        allowed=(0, 1),
        cores=(
            Core(
                number=0,
                governor="ondemand",
                current_khz=1500000,
                min_khz=600000,
                max_khz=1500000,
                limit_khz=1800000,
                group="0",
                busy_ticks=497213,
            ),
            Core(number=1, busy_ticks=606545),
        ),
        clocks=(Clock(name="57000000.gpu", khz=1_600_000),),
        temperatures=(Temperature(zone="cpu-thermal", celsius=48.686),),
        throttles=(
            Throttle(name="get_throttled", kind="firmware", value=0x50000),
            Throttle(name="cpufreq-cpu0", kind="level", value=0),
            Throttle(name="cpu0 core throttle count", kind="counter", value=7),
        ),
        on_battery=False,
    )


def test_a_board_may_say_nothing() -> None:
    assert parse_conditions("") == Conditions()


@pytest.mark.parametrize(
    "line",
    [
        "core",
        "core x governor y",
        "core 0 current many",
        "core 0 busy 9" + "9" * 5000,
        "zone",
        "zone hot cpu",
        "zone -273150 broken-sensor",
        "zone 0 switched-off",
        "level",
        "counter none cpu0",
        "uptime nan",
        "uptime inf 1",
        "ticks 0",
        "allowed 5-1",
        "allowed 0-999999999",
        "\x1b]0;title\x07",
    ],
)
def test_lines_without_sense_say_nothing(line: str) -> None:
    found = parse_conditions(line)
    empty = Conditions(cores=found.cores)
    assert found == empty
    assert all(core == Core(number=core.number) for core in found.cores)


def test_a_boards_words_are_short_and_printable() -> None:
    mode = parse_conditions("power-mode \x1b[31mMAXN" + "x" * 500).power_mode
    assert mode is not None
    assert mode.startswith("?[31mMAXN")
    assert len(mode) == 80


def test_endless_facts_are_cut() -> None:
    assert len(parse_conditions("zone 40000 z\n" * 100_000).temperatures) <= 4096


def test_lists_of_cores() -> None:
    assert parse_cores("0,2,4-7") == (0, 2, 4, 5, 6, 7)
    for wrong in ("", "a", "3-1", "-1", "0,", "0-8192"):
        with pytest.raises(ValueError):
            parse_cores(wrong)
