from __future__ import annotations

import io
import json

import pytest

from builder.errors import DeviceLost
from builder.model.deployed import (
    Began,
    BoardEvent,
    Ended,
    Failed,
    Reached,
    Sent,
    Succeeded,
    Told,
    Waited,
)
from builder.report.boards import PlainBoards
from builder.report.boards_terminal import TerminalBoards
from builder.report.facts import facts_lines, facts_to_json
from builder.report.silent import SilentReport
from tests.fakes import FakeClock
from tests.unit.deploy.answers import jetson

MIB = 1 << 20
LOST = DeviceLost("the link is \x1b[31mlost", reason="link-lost")
EVENTS: tuple[BoardEvent, ...] = (
    Began(devices=("pi", "nano")),
    Reached(device="pi", stage="probe"),
    Waited(device="pi", who="anna@lab", age_s=3),
    Waited(device="pi", who="anna@lab", age_s=4),
    Reached(device="pi", stage="send"),
    *(Sent(device="pi", sent_bytes=n * MIB, total_bytes=20 * MIB) for n in range(21)),
    Told(device="pi", line="block 1 of 10: \x1b[31mmedian"),
    Succeeded(device="pi", line="runs it", document={}),
    Reached(device="nano", stage="lock"),
    Failed(device="nano", error=LOST),
    Ended(seconds=1.5),
)


def test_plain_lines() -> None:
    stream = io.StringIO()
    with PlainBoards(stream) as report:
        for event in EVENTS:
            report(event)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["pi: asking what it is", "pi: waiting for anna@lab"]
    assert sum("sent" in line for line in lines) == 10
    assert lines[-1] == "nano: failed"
    assert any(line.startswith("pi: block 1 of 10") for line in lines)
    assert all(line.isprintable() for line in lines)


def test_the_terminal_takes_every_event() -> None:
    stream = io.StringIO()
    with TerminalBoards(stream, FakeClock()) as report:
        for event in EVENTS:
            report(event)
    shown = stream.getvalue()
    assert "runs it" in shown
    assert "lost" in shown
    assert "\x1b[31mlost" not in shown


def test_silence() -> None:
    with SilentReport() as report:
        for event in EVENTS:
            report(event)


def test_facts_as_json_and_as_lines() -> None:
    document = json.loads(json.dumps(facts_to_json(jetson())))
    assert document["glibc"] == "2.27"
    assert document["frequency_khz"]["most"] == 1479000
    assert document["sensors"][0] == {"name": "CPU-therm", "celsius": 41.5}
    lines = facts_lines(jetson())
    assert any("Jetson" in line for line in lines)
    assert all(len(line) < 100 for line in lines)


@pytest.mark.parametrize("missing", ["glibc", "mount", "free_kib", "current_khz", "MemTotal"])
def test_what_is_not_known_is_left_out(missing: str) -> None:
    assert facts_lines(jetson(**{missing: ""}))
    assert json.dumps(facts_to_json(jetson(**{missing: ""})))
