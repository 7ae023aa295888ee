"""The job matrix: targets and devices in, jobs out."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.jobs.changes import affected
from builder.jobs.matrix import job_matrix, tagged
from builder.model.device import Device
from tests.nouns import a_pc, a_target


def a_device(name: str, target: str = "jetson-nano", tags: tuple[str, ...] = ()) -> Device:
    return Device(name=name, target=target, host=name, root=None, tags=tags)


def test_a_job_for_each_target_and_each_board() -> None:
    matrix = job_matrix("mnist", [a_pc(), a_target()], [a_device("nano", tags=("lab",))])
    assert [job.target for job in matrix.compile] == ["x86_64-linux", "jetson-nano"]
    (board,) = matrix.hardware
    assert (board.device, board.needs) == ("nano", "compile-jetson-nano")


def test_a_board_whose_target_is_left_out_has_no_job() -> None:
    matrix = job_matrix("mnist", [a_pc()], [a_device("nano")])
    assert matrix.hardware == ()


def test_a_target_that_is_named_twice_is_built_once() -> None:
    assert len(job_matrix("mnist", [a_pc(), a_pc()], []).compile) == 1


def test_ids_hold_no_dot_and_differ() -> None:
    names = ["pi.5", "pi-5", "pi5"]
    matrix = job_matrix("mnist", [a_target(name) for name in names], [])
    ids = [job.id for job in matrix.compile]
    assert ids == ["compile-piDot5", "compile-pi-5", "compile-pi5"]


def test_json_is_what_a_github_matrix_takes() -> None:
    document = job_matrix("mnist", [a_target()], [a_device("nano", tags=("lab",))]).to_json()
    assert document["compile"] == {
        "include": [{"id": "compile-jetson-nano", "target": "jetson-nano", "arch": "aarch64"}]
    }
    (board,) = document["hardware"]["include"]
    assert (board["device"], board["tags"]) == ("nano", ["lab"])


def test_tags_select_the_boards_that_bear_them_all() -> None:
    devices = [a_device("a", tags=("lab", "fast")), a_device("b", tags=("lab",)), a_device("c")]
    assert [device.name for device in tagged(devices, ["lab"])] == ["a", "b"]
    assert [device.name for device in tagged(devices, ["lab", "fast"])] == ["a"]
    assert len(tagged(devices, [])) == 3


MODEL, PROJECT = Path("/repo/model.onnx"), Path("/repo/boardwright.yaml")
NANO, BASE, PI = (Path(f"/repo/targets/{name}.yaml") for name in ("nano", "base", "pi"))
OWN = {"nano": [NANO, BASE], "pi": [PI, BASE]}


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ([], ()),
        ([Path("/repo/README.md")], ()),
        ([MODEL], ("nano", "pi")),
        ([NANO], ("nano",)),
        ([BASE], ("nano", "pi")),
        ([Path("/repo/README.md"), PI], ("pi",)),
        ([Path("/repo/tools/strip.py")], ("nano", "pi")),
        ([Path("/repo/toolsmith")], ()),
    ],
)
def test_what_a_change_affects(changed: list[Path], names: tuple[str, ...]) -> None:
    shared = [MODEL, PROJECT, Path("/repo/tools")]
    assert affected(changed, shared=shared, own=OWN) == names
