"""The verbs that go to boards, over real SSH: what they say, what they leave, how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.boards.bundle import LocalBundle
from tests.bundles import sealed
from tests.e2e.boards.project import Project
from tests.e2e.boards.simulated import BoardSet, SimulatedBoard
from tests.e2e.runtime_builds import Gcc, make_bundle

QUICK = ("--threads", "1", "--seconds", "0", "--runs", "24", "--blocks", "3")
# The board shares this machine's processors with everything else on it.
ANY_LOAD = ("--allow-load", "1024")
ROOT = Path("/home/board/verbs")

pytestmark = pytest.mark.slow


@pytest.fixture
def project(boards: BoardSet, lab: SimulatedBoard, tmp_path: Path) -> Project:
    """Give a folder whose devices are the x86-64 board, its root empty, and one out of reach."""
    lab.inside("rm", "-rf", ROOT)
    listed = [
        {"name": "lab", "target": "x86_64-linux", "host": "lab", "root": str(ROOT), "tags": ["up"]},
        {"name": "gone", "target": "x86_64-linux", "host": "board@127.0.0.1:1"},
    ]
    (tmp_path / "devices.yaml").write_text(json.dumps({"devices": listed}))
    made = Project(tmp_path, boards, tmp_path / "cache")
    made.environ["BOARDWRIGHT_DEVICES"] = str(tmp_path / "devices.yaml")
    return made


@pytest.fixture
def old(gcc: Gcc, tmp_path: Path) -> LocalBundle:
    return sealed(make_bundle(gcc, tmp_path / "old", "none", "-O1"))


@pytest.fixture
def new(gcc: Gcc, tmp_path: Path) -> LocalBundle:
    folder = make_bundle(gcc, tmp_path / "new", "none", "-O1")
    (folder / "share" / "note").write_text("new")
    return sealed(folder)


def deploy(project: Project, bundle: LocalBundle, *more: str) -> Any:
    """Bring a bundle to the board; return what was told of it."""
    words = ("deploy-remote", "--device", "lab", "--bundle", str(bundle.folder), *more)
    return project.json(*words)["devices"][0]


def test_devices_are_listed_and_asked_what_they_are(project: Project) -> None:
    listed = project.json("devices", "list")["devices"]
    assert [device["name"] for device in listed] == ["lab", "gone"]
    assert "board@127.0.0.1:1" in project.call("devices", "list").stdout
    probed = project.json("devices", "probe", "lab")["devices"][0]
    assert (probed["machine"], probed["user"], probed["root"]) == ("x86_64", "board", str(ROOT))
    assert "x86_64" in project.call("devices", "probe", "lab").stdout


def test_a_dry_run_prints_every_step_and_does_none(
    project: Project, lab: SimulatedBoard, old: LocalBundle
) -> None:
    planned = deploy(project, old, "--dry-run", "--bench")
    assert planned["release"] == old.id
    assert [step.partition(" ")[0] for step in planned["steps"]] == [
        *("ask", "take", "send", "verify", "make", "check", "switch", "measure")
    ]
    assert not lab.path(ROOT).exists()
    shown = project.call(
        *("deploy-remote", "--device", "lab", "--bundle", str(old.folder), "--dry-run")
    )
    assert f"lab: 1. {planned['steps'][0]}" in shown.stdout


def test_what_runs_is_shown_and_gone_back_from(
    project: Project, old: LocalBundle, new: LocalBundle
) -> None:
    first, second = deploy(project, old)["release"], deploy(project, new)["release"]
    shown = project.json("status", "--tag", "up")["devices"][0]
    assert (shown["current"], shown["releases"]) == (second, [first, second])
    back = project.json("rollback", "--device", "lab")["devices"][0]
    assert (back["release"], back["previous"]) == (first, second)
    assert f"runs {first}" in project.call("status", "--tag", "up").stdout
    again = project.json("rollback", "--device", "lab", status=7)
    assert again["error"]["reason"] == "nothing-to-roll-back"


def test_one_board_that_is_gone_stops_no_other(project: Project, old: LocalBundle) -> None:
    told = project.json(
        *("deploy-remote", "--device", "*", "--jobs", "1", "--bundle", str(old.folder)), status=6
    )
    lab, gone = told["devices"]
    assert (lab["status"], lab["changed"]) == ("ok", True)
    assert (gone["status"], gone["error"]["reason"]) == ("failed", "connection-refused")
    assert told["error"] == gone["error"]


@pytest.mark.timeout(600)
def test_a_baseline_and_minutes_of_measuring(
    project: Project, old: LocalBundle, new: LocalBundle
) -> None:
    deploy(project, old)
    gate = ("--baseline", old.id, "--fail-on-regression", "9999%")
    compared = deploy(project, new, "--bench", *QUICK, *ANY_LOAD, *gate)["measurements"]
    assert compared[0]["subject"]["release"].endswith(new.id)
    assert compared[0]["comparison"]["baseline"].endswith(old.id)
    assert compared[1]["subject"]["release"].endswith(old.id)
    minute = ("--threads", "1", "--sustained", "1", *ANY_LOAD)
    sustained = project.json("bench", "--device", "lab", *minute)["measurements"][0]
    assert [one["minute"] for one in sustained["minutes"]] == [1]
