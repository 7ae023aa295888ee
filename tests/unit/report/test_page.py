"""What a page says about measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.bench.durations import duration
from builder.report.bench_view import bench_document, bench_lines
from builder.report.page_history import histories
from builder.report.page_parts import card, groups
from builder.report.scales import Scale, histogram, scale_over
from tests.measurements import COMPARED, RIVALS, SPOILT, measurement


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "-"), (0.5, "0.5 us"), (812.34, "812.3 us"), (5310, "5.31 ms"), (1.2e6, "1.2 s")],
)
def test_durations(microseconds: float | None, text: str) -> None:
    assert duration(microseconds) == text


def test_ticks_are_round_and_on_the_axis() -> None:
    ticks = Scale(low=96.3, high=247.0).ticks()
    assert [tick.label for tick in ticks] == ["100 us", "150 us", "200 us"]
    assert all(0 <= tick.at <= 100 for tick in ticks)


@pytest.mark.parametrize("values", [[5.0], [0.0], [1e-3, 1e9], [7.0, 7.0]])
def test_any_values_have_a_scale(values: list[float]) -> None:
    scale = scale_over(values)
    assert scale.low < scale.high
    assert len(scale.ticks()) <= 10
    assert all(0 <= scale.at(value) <= 100 for value in values)


def test_a_long_tail_is_cut_and_counted() -> None:
    drawn = histogram([100.0 + i % 7 for i in range(1000)] + [1e6, 2e6])
    assert drawn.beyond == 2
    assert drawn.scale.high < 200


def test_boards_stand_side_by_side_with_their_newest_valid_result() -> None:
    found = groups(
        [
            measurement(2000, device="pi"),
            measurement(1500, device="pi", taken_utc="2026-02-01T00:00:00+00:00"),
            measurement(900, device="nano"),
            measurement(1, device="nano", status="invalid", problems=(SPOILT,)),
            measurement(100, device="pi", threads=4),
        ]
    )
    [group] = found
    assert group.name == "digits, 1 thread"
    assert [rank.anchor for rank in group.ranks] == ["result-2", "result-1"]
    assert group.ranks[0].median.at < group.ranks[1].median.at


def test_a_history_tells_steps_and_passes_over_invalid_results() -> None:
    [series] = histories(
        [
            measurement(1000),
            measurement(1000),
            measurement(5000, status="invalid", problems=(SPOILT,)),
            measurement(1100),
            measurement(900),
        ]
    )
    assert [(p.step is not None, p.slower, p.valid) for p in series.points] == [
        (False, False, True),
        (False, False, True),
        (False, False, False),
        (True, True, True),
        (True, False, True),
    ]


def test_a_card_tells_all_of_a_measurement() -> None:
    shown = card(measurement(minutes=3, comparison=COMPARED, rivals=RIVALS, problems=(SPOILT,)), 7)
    facts = dict(shown.facts)
    assert shown.anchor == "result-7"
    assert shown.verdict is not None and "8.0% slower" in shown.verdict
    assert shown.course is not None and len(shown.course.rows) == 3
    assert shown.kernels[0].nodes == ("/Conv_0", "/Relu_1")
    assert shown.rivals[1][1] == "no Loop"
    assert facts["governor"] == "ondemand"
    assert facts["temperature after"] == "cpu-thermal 51.5 \N{DEGREE SIGN}C"
    assert facts["throttling after"] == "get_throttled 0x50000"


def test_a_measurement_without_blocks_has_a_card_and_a_line() -> None:
    bare = replace(
        measurement(status="invalid", problems=(SPOILT,), kernels=(), cold_start_us=()),
        latency=None,
        blocks=(),
        init_us=None,
        peak_rss_bytes=None,
    )
    assert card(bare, 0).histogram is None
    assert len(bench_lines([bare])) == 2


def test_a_kind_of_problem_is_said_once() -> None:
    again = replace(SPOILT, where="block 9")
    shown = card(measurement(status="invalid", problems=(SPOILT, again, again)), 0)
    assert shown.problems == (f"{SPOILT.where}: {SPOILT.what} (and 2 more times)",)


def test_a_wide_interval_squashes_nothing() -> None:
    wide = measurement(1000)
    assert wide.latency is not None and wide.latency.median is not None
    median = replace(wide.latency.median, high=1e9)
    wide = replace(wide, latency=replace(wide.latency, median=median))
    [group] = groups([wide, measurement(900, device="other")])
    assert min(rank.median.at for rank in group.ranks) > 40


def test_the_rows_of_a_baseline_say_which_is_which() -> None:
    new, old = measurement(), measurement()
    _, first, second = bench_lines([new, old], [old])[:3]
    assert "(baseline)" not in first
    assert f"{old.subject.release or old.subject.sha256[:12]} (baseline)" in second


def test_the_document_leaves_the_raw_samples_in_the_files() -> None:
    document = bench_document([(measurement(), Path("x.json"))], [])
    [entry] = document["measurements"]
    assert (document["status"], entry["file"], entry["status"]) == ("ok", "x.json", "valid")
    assert "blocks" not in entry
    assert entry["latency"]["samples"] == 1250
