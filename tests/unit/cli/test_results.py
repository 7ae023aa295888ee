"""``summary`` and ``report`` in one document, and results that could not be kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.cli.app import run
from builder.effects.results import save_result
from builder.errors import DeviceLost
from tests.measurements import measurement

Printed = pytest.CaptureFixture[str]


def told(printed: Printed, *arguments: str | Path) -> tuple[int, Any]:
    code = run([*map(str, arguments), "--json"])
    return code, json.loads(printed.readouterr().out)


def test_a_summary_as_data(tmp_path: Path, capsys: Printed) -> None:
    lost = DeviceLost("lost", reason="link-lost", where="pi").to_json()
    (tmp_path / "pi.json").write_text(json.dumps({"status": "failed", "error": lost}))
    code, document = told(capsys, "summary", tmp_path / "pi.json")
    [outcome] = document["outcomes"]
    assert (code, outcome["status"], outcome["error"]["reason"]) == (0, "failed", "link-lost")


def test_a_report_as_data(tmp_path: Path, capsys: Printed) -> None:
    save_result(measurement(), tmp_path / "results")
    page = tmp_path / "page.html"
    code, document = told(capsys, "report", tmp_path / "results", "-o", page)
    assert (code, document) == (0, {"status": "ok", "page": str(page), "results": 1})
    assert page.is_file()


@pytest.mark.parametrize(
    "verb",
    [("bench", "-o"), ("deploy-remote", "--host", "pi", "--target", "t", "--bench", "--results")],
)
def test_results_that_could_not_be_kept_are_not_taken(
    tmp_path: Path, capsys: Printed, verb: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()
    code, document = told(capsys, *verb, tmp_path / "file" / "results")
    assert (code, document["error"]["reason"]) == (4, "results-unwritable")
