from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from builder.report.tuning import (
    PlainTuning,
    TerminalTuning,
    document,
    record_line,
    summary_lines,
)
from tests.nouns import a_record

FASTER = a_record()
AS_USUAL = a_record("01", tile=(1, 8, 2))
HOSTILE = replace(AS_USUAL, description="conv \x1b[2J\n[red]")


def test_a_line_tells_both_tiles_and_times() -> None:
    assert all(word in record_line(FASTER) for word in ("1x7x2", "1x8x2", "9.5 us", "5.0%"))
    assert "1x8x2" in record_line(AS_USUAL)


def test_plain_lines_come_one_by_one_and_only_when_asked_for() -> None:
    stream = io.StringIO()
    with PlainTuning(stream, verbose=False) as report:
        report.log("pass fuse")
        report.found(HOSTILE)
    with PlainTuning(None, verbose=True) as silent:
        silent.found(FASTER)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert "\x1b" not in lines[0]


def test_a_terminal_keeps_what_is_faster() -> None:
    stream = io.StringIO()
    with TerminalTuning(stream, verbose=False) as report:
        report.log("measuring \x1b[2J")
        report.found(FASTER)
        report.found(AS_USUAL)
    shown = stream.getvalue()
    assert "instead of" in shown
    assert "as usual" not in shown
    assert "[2J" not in shown.replace("?[2J", "")


def test_the_end_says_what_is_left() -> None:
    some = summary_lines("pc", Path("tuning"), [FASTER, AS_USUAL], 0)
    assert any("2 kernels measured, 1 faster" in line for line in some)
    assert len(summary_lines("pc", Path("tuning"), [FASTER], 7)) == len(some) + 1
    assert len(summary_lines("pc", Path("tuning"), [], 0)) == 1


def test_the_document_is_json() -> None:
    made = json.loads(json.dumps(document("pc", Path("tuning"), [FASTER], 2)))
    assert (made["left"], made["records"][0]["tile"]) == (2, [1, 7, 2])
