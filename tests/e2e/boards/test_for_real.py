"""A real model on emulated Arm boards: built, pushed, checked, switched to, measured, reported."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.boards.project import Project
from tests.e2e.boards.simulated import ROOT, BoardSet, SimulatedBoard, wait_until

DIGITS = ROOT / "ci" / "models" / "digits.onnx"
ARM = ("pi", "nano")
QUICK = ("--threads", "1", "--seconds", "0", "--runs", "24", "--blocks", "3")
# Emulated boards share this machine's processors with everything else on it.
ANY_LOAD = ("--allow-load", "1024")

pytestmark = [pytest.mark.slow, pytest.mark.qemu]


def deployment(*boards: str) -> tuple[str, ...]:
    named = [word for board in boards for word in ("--device", board)]
    return ("deploy-remote", str(DIGITS), *named, "--toolchain", "local")


@pytest.fixture(scope="module")
def project(boards: BoardSet, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Give a project whose folder is empty."""
    return Project(tmp_path_factory.mktemp("project"), boards, cache)


@pytest.fixture(scope="module")
def deployed(project: Project) -> dict[str, Any]:
    """Build for both Arm boards, deploy, measure, write a page; give what was told, by board."""
    measure = ("--bench", *ANY_LOAD, "--report", "page.html")
    told = project.json(*deployment(*ARM), *measure)
    return {board["device"]: board for board in told["devices"]}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ARM)
def test_the_board_runs_what_was_built_for_it(
    boards: BoardSet, deployed: dict[str, Any], name: str
) -> None:
    assert deployed[name]["changed"]
    checked = boards[name].inside("/home/board/boardwright/current/bin/run", "--check", "--json")
    assert json.loads(checked)["ok"] is True


@pytest.mark.parametrize("name", ARM)
def test_it_was_measured_on_the_board(deployed: dict[str, Any], name: str) -> None:
    machines = {measured["board"]["machine"] for measured in deployed[name]["measurements"]}
    assert machines == {{"pi": "armv7l", "nano": "aarch64"}[name]}
    for measured in deployed[name]["measurements"]:
        assert measured["status"] == "valid"
        assert measured["latency"]["samples"] >= 30


def test_the_page_shows_both_boards(project: Project, deployed: dict[str, Any]) -> None:
    page = (project.folder / "page.html").read_text()
    assert [name in page for name in deployed] == [True, True]


def test_deploying_once_more_sends_nothing(project: Project, deployed: dict[str, Any]) -> None:
    for board in project.json(*deployment(*deployed))["devices"]:
        assert (board["changed"], board["sent_bytes"]) == (False, 0)


def test_a_board_that_throttles_meanwhile_is_no_measurement(
    boards: BoardSet, project: Project, deployed: dict[str, Any]
) -> None:
    flags = boards["pi"].path("/sys/devices/platform/soc/soc:firmware/get_throttled")
    try:
        flags.write_text("50005\n")
        told = project.json("bench", "--device", "pi", *QUICK, *ANY_LOAD, status=10)
        again = project.json(*deployment("pi"), "--bench", *ANY_LOAD, status=10)
    finally:
        flags.write_text("0\n")
    assert told["error"]["reason"] == again["error"]["reason"] == "throttled"
    measured = again["error"]["details"]["measurements"]
    assert {one["status"] for one in measured} == {"invalid"}


def test_a_governor_is_held_and_put_back(
    boards: BoardSet, project: Project, deployed: dict[str, Any]
) -> None:
    governors = list(boards["nano"].path("/sys/devices/system/cpu").glob("cpu*/cpufreq/*governor"))
    project.json("bench", "--device", "nano", *QUICK, *ANY_LOAD, "--set-governor", "performance")
    assert {file.read_text().strip() for file in governors} == {"ondemand"}


LONG = ("--threads", "1", "--seconds", "9", "--blocks", "3")


def is_runner(line: str) -> bool:
    """Say whether a process is the runner itself, not the shell that will start it."""
    return "bin/run --bench" in line and "sh -c" not in line


@contextmanager
def measuring(project: Project, board: SimulatedBoard) -> Iterator[subprocess.Popen[str]]:
    """Measure until something ends it; give the process once the board is at it."""
    command = ("bench", "--device", board.name, *LONG, *ANY_LOAD, "--json")
    with project.running(*command) as process:
        wait_until(lambda: any(map(is_runner, board.processes())), within_s=60)
        yield process


def test_another_boot_id_meanwhile(
    boards: BoardSet, project: Project, deployed: dict[str, Any]
) -> None:
    """A board that came back so fast that the link never noticed."""
    board = boards["nano"]
    boot = board.folder / board.name / "disk" / "hardware" / "boot_id"
    before = boot.read_text()
    with measuring(project, board) as process:
        boot.write_text("00000000-0000-4000-8000-000000000000\n")
        printed, _ = process.communicate(timeout=120)
    boot.write_text(before)
    assert process.returncode == 10
    assert json.loads(printed)["error"]["reason"] == "rebooted"


@pytest.mark.timeout(600)
def test_a_reboot_meanwhile(boards: BoardSet, project: Project, deployed: dict[str, Any]) -> None:
    board = boards["nano"]
    with measuring(project, board) as process:
        board.reboot()
        struck_s = time.monotonic()
        printed, _ = process.communicate(timeout=120)
    assert json.loads(printed)["error"]["reason"] == "rebooted"
    assert process.returncode == 10
    assert time.monotonic() - struck_s < 60
    again = project.json(*deployment("nano"))
    assert again["devices"][0]["sent_bytes"] == 0


def test_a_board_is_tuned_and_runs_what_it_ran(boards: BoardSet, project: Project) -> None:
    releases = ("ls", "/home/board/boardwright/releases")
    before = boards["lab"].inside(*releases, check=False)
    tuned = project.json(
        *("tune", str(DIGITS), "--device", "lab", "--toolchain", "local"),
        *("--budget", "1s", "-o", "records"),
    )
    assert (tuned["status"], tuned["target"], tuned["left"]) == ("ok", "x86_64-linux", 0)
    assert {record["machine"] for record in tuned["records"]} != {""}
    assert all(record["tile_us"] <= record["usual_us"] for record in tuned["records"])
    kept = [json.loads(path.read_text()) for path in (project.folder / "records").iterdir()]
    assert [len(document["records"]) for document in kept] == [len(tuned["records"])]
    assert boards["lab"].inside(*releases) == before
    again = project.json(
        *("tune", str(DIGITS), "--device", "lab", "--toolchain", "local", "-o", "records")
    )
    assert again["records"] == []
