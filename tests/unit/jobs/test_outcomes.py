"""Results: what verbs print as JSON in, outcomes, JUnit XML and Markdown out."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from builder.errors import DeviceLost, PerformanceRegression
from builder.jobs.junit import junit_xml
from builder.jobs.markdown import markdown
from builder.jobs.outcomes import Outcome, outcomes_of

LOST = DeviceLost("the link died", reason="link-lost", where="pi").to_json()
RECEIPT = {
    "status": "ok",
    "target": "jetson-nano",
    "seconds": 12.5,
    "cache": "miss",
    "verify": {"ok": True, "where": "qemu", "max_abs_error": 1.2e-7, "outputs": []},
    "sizes": {"library": 1, "weights": 2, "archive": 2048, "runner": 3},
    "error": None,
}
MEASUREMENT: dict[str, Any] = {
    "status": "valid",
    "board": {"device": "nano"},
    "pace": {"threads": 4},
    "latency": {"median": {"value": 5310.0, "low": 1.0, "high": 2.0}, "p90": None, "p99": None},
    "problems": [],
}
HOSTILE = "]]></failure>\0\x1b[31m <script>`$(id)` | a\nb ${{ secrets.KEY }} \ud800"


def read(document: object) -> tuple[Outcome, ...]:
    return outcomes_of(json.dumps(document), name="hardware-pi")


def test_a_build_gives_an_outcome_for_each_target() -> None:
    (outcome,) = read({"status": "ok", "targets": [RECEIPT], "error": None})
    assert (outcome.kind, outcome.name, outcome.seconds) == ("build", "jetson-nano", 12.5)
    assert outcome.failure is None
    assert dict(outcome.figures)["archive"] == "2 KiB"


def test_a_deployment_gives_one_for_each_board_and_each_measurement() -> None:
    board = {"device": "nano", "status": "ok", "release": "00000001-x", "sent_bytes": 9}
    lost = {"device": "pi", "status": "failed", "error": LOST}
    outcomes = read(
        {"status": "failed", "devices": [board | {"measurements": [MEASUREMENT]}, lost]}
    )
    assert [(o.kind, o.name, o.failure is None) for o in outcomes] == [
        ("deploy", "nano", True),
        ("bench", "nano, 4 threads", True),
        ("deploy", "pi", False),
    ]
    assert dict(outcomes[1].figures) == {"median": "5.31 ms"}


def test_an_invalid_measurement_has_failed() -> None:
    problem = {"reason": "throttled", "where": "nano", "what": "the board throttled"}
    (outcome,) = read(MEASUREMENT | {"status": "invalid", "problems": [problem]})
    assert outcome.failure is not None
    assert outcome.failure.reason == "throttled"


SLOWER = PerformanceRegression("8% slower", reason="slower", where="nano")
COMPARISON = {
    "verdict": "slower",
    "change": {"value": 0.08, "low": 0.07, "high": 0.09},
    "baseline": "00000001-x",
    "baseline_median_us": 926.0,
}


def test_a_regression_has_failed_and_says_by_how_much() -> None:
    compared = MEASUREMENT | {"comparison": COMPARISON}
    slower = SLOWER.to_json()
    measured, judged = read({"measurements": [compared], "error": slower, "errors": [slower]})
    assert measured.failure is None
    assert dict(measured.figures)["beside 00000001-x"] == "slower +8.0% (+7.0% to +9.0%)"
    assert (judged.kind, judged.name) == ("bench", "nano")
    assert judged.failure is not None
    assert judged.failure.exit_code == 11


def test_a_device_that_was_lost_before_anything_was_measured_has_failed() -> None:
    (outcome,) = read({"measurements": [], "error": LOST, "errors": [LOST]})
    assert outcome.failure is not None
    assert outcome.failure.reason == "link-lost"


def test_what_was_measured_before_a_deployment_failed_is_told() -> None:
    compared = MEASUREMENT | {"comparison": COMPARISON}
    error = SLOWER.with_details(measurements=[compared]).to_json()
    deployed, measured = read({"devices": [{"device": "nano", "error": error}]})
    assert deployed.failure is not None
    assert deployed.failure.reason == "slower"
    assert (measured.kind, measured.failure) == ("bench", None)
    assert dict(measured.figures)["median"] == "5.31 ms"


def test_a_failure_before_anything_was_begun() -> None:
    (outcome,) = read({"status": "failed", "error": LOST})
    assert (outcome.kind, outcome.name) == ("job", "hardware-pi")
    assert outcome.failure is not None
    assert outcome.failure.reason == "link-lost"


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"status": "ok", "targe',
        "[]",
        "3",
        "{}",
        '{"targets": []}',
        '{"targets": [{}]}',
        '{"devices": 5}',
        '{"measurements": [], "errors": []}',
        '{"latency": 1, "status": "invalid", "board": {"device": 1}, "pace": {"threads": 1}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_result_is_a_failed_job(text: str) -> None:
    (outcome,) = outcomes_of(text, name="compile-pi")
    assert outcome.failure is not None
    assert outcome.failure.reason == "result-malformed"


def a_failed(name: str) -> Outcome:
    failure = DeviceLost(name, reason="link-lost", where=name)
    return Outcome(
        kind="deploy", name=name, seconds=1.5, failure=failure, figures=(("release", name),)
    )


def test_junit_counts_what_failed() -> None:
    good = Outcome(kind="build", name="pi", seconds=2.0, failure=None, figures=())
    root = ElementTree.fromstring(junit_xml([good, a_failed("nano")]))
    assert (root.get("tests"), root.get("failures"), root.get("time")) == ("2", "1", "3.500")
    assert [suite.get("name") for suite in root] == ["build", "deploy"]
    failure = root.find(".//testcase[@name='nano']/failure")
    assert failure is not None
    assert failure.get("type") == "link-lost"


def test_junit_of_hostile_text_is_well_formed() -> None:
    root = ElementTree.fromstring(junit_xml([a_failed(HOSTILE)]))
    assert len(list(root.iter())) == 5
    (case,) = root.iter("testcase")
    assert "<script>" in (case.get("name") or "")
    assert "\x1b" not in "".join(root.itertext())


def test_markdown_of_hostile_text_shows_as_itself() -> None:
    text = markdown([a_failed(HOSTILE)])
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close"}
    assert sum(token.type == "tr_open" for token in tokens) == 2
