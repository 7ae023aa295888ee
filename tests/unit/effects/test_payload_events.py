"""Whatever a payload writes is an event or a harmless log line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.effects.payload_events import (
    LineSplitter,
    LogLine,
    PayloadDone,
    PayloadFailed,
    decode_event,
    log_line,
)
from builder.errors import ModelRefused


def test_each_event_is_read() -> None:
    assert decode_event('{"event": "log", "line": "cc plan.c"}') == LogLine(text="cc plan.c")
    assert decode_event('{"event": "done"}') == PayloadDone()


def test_a_failure_comes_back_in_its_own_class() -> None:
    failure = ModelRefused("no", reason="dynamic-shape", where="node Add_1", details={"n": 1})
    event = decode_event(json.dumps({"event": "failed", "failure": failure.to_json()}))
    assert isinstance(event, PayloadFailed)
    assert isinstance(event.failure, ModelRefused)
    assert event.failure.to_json() == failure.to_json()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "plain text",
        "{",
        "[]",
        "null",
        '{"event": "failed"}',
        '{"event": "failed", "failure": []}',
        '{"event": "log"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_event_is_a_log_line(line: str) -> None:
    assert isinstance(decode_event(line), LogLine)


@given(st.text())
def test_a_log_line_cannot_reach_the_terminal(text: str) -> None:
    shown = log_line(text).text
    assert shown.isprintable()
    assert len(shown) <= 4096


@given(st.binary(max_size=200), st.integers(1, 20))
def test_lines_do_not_depend_on_how_bytes_arrive(content: bytes, size: int) -> None:
    splitter = LineSplitter()
    lines = [
        line
        for start in range(0, len(content), size)
        for line in splitter.feed(content[start : start + size])
    ]
    lines += splitter.finish()
    whole = content.decode("utf-8", "replace").split("\n")
    if whole[-1] == "":
        whole.pop()
    assert lines == whole


def test_a_line_without_end_is_cut_not_collected() -> None:
    splitter = LineSplitter()
    for _ in range(64):
        assert splitter.feed(b"x" * (1 << 16)) == []
    (line,) = splitter.feed(b"\n")
    assert len(line) == 1 << 20
    assert splitter.feed(b"next\n") == ["next"]
