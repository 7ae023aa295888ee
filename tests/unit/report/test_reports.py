from __future__ import annotations

import io
import json

import pytest

from builder.model.artifact import Caution, Verification
from builder.model.event import Finished
from builder.model.receipt import LastGood, Receipt
from builder.report.json_report import JsonReport, write_json
from builder.report.plain import PlainReport
from builder.report.progress import Progress
from builder.report.summary import COLUMNS, aligned, document, row
from builder.report.terminal import TerminalReport
from tests.fakes import FakeClock
from tests.unit.report.builds import HOSTILE, a_build, a_lost_receipt, a_receipt


def plain(*, verbose: bool = False) -> str:
    stream = io.StringIO()
    with PlainReport(stream, verbose=verbose) as report:
        for event in a_build():
            report(event)
    return stream.getvalue()


def test_plain_output_has_no_control_characters() -> None:
    assert all(line.isprintable() for line in plain(verbose=True).splitlines())


def test_plain_output_tells_each_step_and_each_target() -> None:
    lines = plain().splitlines()
    assert any("2 targets" in line and "cached" in line for line in lines)
    assert "nano: ok" in lines
    assert "pi: failed" in lines
    assert lines[-3].split() == " ".join(COLUMNS).split()


def test_tools_are_quoted_only_when_asked() -> None:
    assert "tool says" not in plain()
    assert "tool says" in plain(verbose=True)


def test_json_output_is_one_document() -> None:
    stream, log = io.StringIO(), io.StringIO()
    with JsonReport(stream, log=log) as report:
        for event in a_build():
            report(event)
    told = json.loads(stream.getvalue())
    assert told["status"] == "failed"
    assert told["error"]["reason"] == "link-failed"
    assert [target["target"] for target in told["targets"]] == ["nano", "pi"]
    assert "tool says" in log.getvalue()
    assert "\x1b" not in log.getvalue()


def test_json_output_is_empty_until_the_end() -> None:
    stream = io.StringIO()
    with JsonReport(stream) as report:
        for event in a_build()[:-1]:
            report(event)
    assert stream.getvalue() == ""


def test_a_good_build_is_ok() -> None:
    assert document("mnist", [a_receipt()], 1.0)["status"] == "ok"
    assert document("mnist", [a_receipt()], 1.0)["error"] is None


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match=r"."):
        write_json(io.StringIO(), float("nan"))


def test_rows_of_the_summary() -> None:
    assert row(a_receipt()) == (
        "nano", "612 KiB", "684 KiB", "1.0e-06", "qemu", "4.2", "miss",
    )  # fmt: skip
    assert row(a_lost_receipt()) == ("pi", "-", "-", "-", "failed", "4.2", "miss")


def test_cautions_are_said_once_for_all_boards_and_go_into_the_receipt() -> None:
    caution = Caution(reason="not-finite", output=f"y{HOSTILE}", why="half of it is not")
    verify = Verification(ok=True, where="qemu", max_abs_error=0.0, outputs=(), cautions=(caution,))
    receipts = (a_receipt("nano", verify=verify), a_receipt("pi", verify=verify))
    assert Receipt.from_json(receipts[0].to_json()) == receipts[0]
    stream, screen = io.StringIO(), io.StringIO()
    finished = Finished(model="mnist", receipts=receipts, seconds=1.0)
    PlainReport(stream)(finished)
    TerminalReport(screen, FakeClock())(finished)
    for said in (stream.getvalue(), screen.getvalue()):
        assert said.count("half of it is not") == 1
        assert "\x1b]0;" not in said


def test_a_bundle_that_outlives_a_failed_build_is_named() -> None:
    good = LastGood(path="/dist/b", sha256="c", key="k", published_utc="2026-01-01T00:00:00Z")
    stream, screen = io.StringIO(), io.StringIO()
    finished = Finished(model="mnist", receipts=(a_lost_receipt(last_good=good),), seconds=1.0)
    PlainReport(stream)(finished)
    TerminalReport(screen, FakeClock())(finished)
    for said in (stream.getvalue(), screen.getvalue()):
        assert "the bundle of 2026-01-01T00:00:00Z stays in /dist/b" in said


def test_columns_line_up() -> None:
    assert aligned([("a", "bb", "c"), ("aaa", "b", "c")]) == ["a    bb  c", "aaa  b   c"]


def test_progress_knows_what_each_target_is_doing() -> None:
    progress = Progress()
    for event in a_build()[:4]:
        progress.apply(event)
    nano, pi = progress.rows()
    assert (nano.state, nano.doing, nano.log) == ("running", "compiling kernels", HOSTILE)
    assert (pi.state, pi.doing, pi.log) == ("waiting", "", "")


def test_progress_ends_with_every_target_decided() -> None:
    progress = Progress()
    for event in a_build():
        progress.apply(event)
    assert [(row.target, row.state, row.doing) for row in progress.rows()] == [
        ("nano", "ok", ""),
        ("pi", "failed", ""),
    ]


def test_the_terminal_shows_the_table_and_no_stranger_steers_it() -> None:
    stream = io.StringIO()
    with TerminalReport(stream, FakeClock(), verbose=True) as report:
        for event in a_build():
            report(event)
    shown = stream.getvalue()
    assert "612 KiB" in shown
    assert "[red]tool says" in shown
    assert "\x1b]0;" not in shown
