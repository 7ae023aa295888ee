"""``boardwright tune`` as a user runs it, and what its records do to builds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.cli import app
from tests.processes import killed_at_the_end

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "ci" / "models" / "digits.onnx"
TARGET = "x86_64-linux"
Printed = pytest.CaptureFixture[str]

pytestmark = [
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the records are of x86-64"),
    pytest.mark.slow,
]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """A project of one model, and a user without records."""
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(cache))
    monkeypatch.setenv("BOARDWRIGHT_TUNING", str(tmp_path / "user"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    text = f"model: {DIGITS}\ntargets: [{TARGET}]\n"
    (folder / "boardwright.yaml").write_text(text, encoding="utf-8")
    return folder


def said(capsys: Printed, verb: str, *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = app.run([verb, "--toolchain", "local", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def built(capsys: Printed, *arguments: str) -> Mapping[str, Any]:
    code, _ = said(capsys, "build", "--verify", "require", *arguments)
    assert code == 0
    [receipt] = Path("dist").glob("*/*/receipt.json")
    made: Mapping[str, Any] = json.loads(receipt.read_text(encoding="utf-8"))
    return made


def bend(folder: Path) -> None:
    """Let every record say that the smallest tile is the fastest: some tile must differ."""
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        for record in document["records"]:
            record["tile"] = [1] * len(record["tile"])
        path.write_text(json.dumps(document), encoding="utf-8")


def test_a_build_follows_from_its_records(capsys: Printed, project: Path) -> None:
    plain = built(capsys)
    code, tuned = said(capsys, "tune", "--budget", "4s")
    assert (code, tuned["status"], tuned["folder"]) == (0, "ok", str(project / "tuning"))
    assert tuned["records"]
    assert all(record["tile_us"] > 0 for record in tuned["records"])

    bend(project / "tuning")
    first = built(capsys)
    again = built(capsys, "--no-cache")
    assert first["bundle"]["sha256"] == again["bundle"]["sha256"] != plain["bundle"]["sha256"]
    assert again["verify"]["ok"]

    (project / "tuning").rename(project / "away")
    without = built(capsys)
    assert (without["key"], without["bundle"]["sha256"]) == (
        plain["key"],
        plain["bundle"]["sha256"],
    )


def test_what_is_known_is_not_measured_again(capsys: Printed, project: Path) -> None:
    there = ("-o", "elsewhere")
    assert said(capsys, "tune", "--budget", "1m", *there)[1]["records"]
    assert said(capsys, "tune", "--budget", "1m", *there)[1]["records"] == []
    assert said(capsys, "tune", "--budget", "2s", "--again", *there)[1]["records"]
    assert [path.suffix for path in (project / "elsewhere").iterdir()] == [".json"]


def test_without_a_project_records_are_the_users(
    capsys: Printed, project: Path, tmp_path: Path
) -> None:
    (project / "boardwright.yaml").unlink()
    _, tuned = said(capsys, "tune", str(DIGITS), "-t", TARGET, "--budget", "1s")
    assert tuned["folder"] == str(tmp_path / "user")
    assert list((tmp_path / "user").glob("*.json"))


def test_another_cpu_is_named_with_what_can_be_tuned_here(capsys: Printed) -> None:
    code, failure = said(capsys, "tune", "-t", "jetson-nano")
    assert (code, failure["error"]["reason"]) == (2, "cannot-tune")
    assert TARGET in failure["error"]["details"]["tunable"]


@pytest.mark.parametrize("verb", ["build", "tune"])
def test_spoilt_records_stop_what_would_use_them(capsys: Printed, project: Path, verb: str) -> None:
    (project / "tuning").mkdir()
    (project / "tuning" / "x86-64-v3.json").write_text('{"format": 1}', encoding="utf-8")
    code, failure = said(capsys, verb)
    assert (code, failure["error"]["reason"]) == (2, "records-malformed")
    assert failure["error"]["where"].endswith("x86-64-v3.json")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_was_measured_outlives_the_end(project: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "builder", "tune", "--toolchain", "local", "--budget", "5m"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    client = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    with killed_at_the_end(client) as process:
        assert process.stdout is not None
        assert process.stdout.readline()  # one kernel is told once its record is kept
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGKILL)
    [path] = [path for path in _settled(project / "tuning") if path.suffix == ".json"]
    assert json.loads(path.read_text(encoding="utf-8"))["records"]


def _settled(folder: Path) -> list[Path]:
    time.sleep(0.2)  # nobody writes any more
    return list(folder.iterdir())
