"""Result files: what was written is read, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.bench.result import OURS, lead, measurement_from_json, measurement_to_json
from builder.effects.results import load_result, save_result
from builder.errors import BuildFailed, IntegrityError, UsageError
from tests.measurements import COMPARED, RIVALS, SPOILT, measurement


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    whole = measurement(
        minutes=2, comparison=COMPARED, problems=(SPOILT,), rivals=RIVALS, status="invalid"
    )
    assert load_result(save_result(whole, tmp_path / "results")) == whole
    empty = replace(whole, latency=None, blocks=(), minutes=(), init_us=None, peak_rss_bytes=None)
    assert load_result(save_result(empty, tmp_path / "results")) == empty


def test_no_result_is_written_over(tmp_path: Path) -> None:
    paths = {save_result(measurement(), tmp_path) for _ in range(3)}
    assert len(paths) == 3


def test_names_from_elsewhere_make_safe_files(tmp_path: Path) -> None:
    hostile = measurement(device="../../etc/passwd", model="a/b\n\x1b[31m" + "x" * 300)
    path = save_result(hostile, tmp_path)
    assert path.parent == tmp_path
    assert path.name.isascii() and path.name.isprintable() and "/" not in path.name


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildFailed) as caught:
        save_result(measurement(), tmp_path / "file" / "results")
    assert caught.value.reason == "results-unwritable"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_result(tmp_path / "none.json")
    assert caught.value.reason == "no-result"


def spoilt(**changes: Any) -> str:
    return json.dumps(measurement_to_json(measurement()) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"format": 1}',
        spoilt(status="fine"),
        spoilt(extra_cost=None, latency={}),
        spoilt(cold_start_us=["5"]),
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_other_files_are_no_results(text: str | bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        measurement_from_json(text, where="x.json")
    assert caught.value.reason in ("result-malformed", "result-format")


def test_results_of_another_format() -> None:
    with pytest.raises(IntegrityError) as caught:
        measurement_from_json(spoilt(format=2), where="x.json")
    assert caught.value.reason == "result-format"


@pytest.mark.parametrize(
    ("medians", "expected"),
    [
        ({OURS: 100.0, "onnxruntime": 150.0, "mnn": 120.0}, 1.2),
        ({OURS: 100.0, "onnxruntime": 80.0}, 0.8),
        ({OURS: 100.0, "onnxruntime": None}, None),
        ({"onnxruntime": 80.0}, None),
        ({}, None),
    ],
)
def test_the_lead_is_over_the_best_other(
    medians: dict[str, float | None], expected: float | None
) -> None:
    rivals = [replace(RIVALS[0], name=name, median_us=median) for name, median in medians.items()]
    assert lead(rivals) == expected
