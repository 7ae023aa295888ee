from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.cli.configuration import (
    Wishes,
    checked_name,
    find_project,
    read_project,
    safe_name,
    settle,
)
from builder.cli.environment import read_environment
from builder.effects.parsed import ParsedValues
from builder.effects.trust import Trust
from builder.errors import UsageError
from builder.model.binding import Binding
from builder.model.project import Project

ROOT = Path("/project")
TARGETS = ("jetson-nano",)


def a_project(**changes: Any) -> Project:
    fields: dict[str, Any] = {
        "model": "models/face.onnx",
        "name": "faces",
        "binding": Binding(shapes=(("image", (1, 3, 8, 8)),), dims=(("batch", 1),)),
        "frozen_file": "constants.npz",
        "targets": TARGETS,
        "out": "bundles",
        "inputs": "check.npz",
        "devices": (),
    }
    return Project(**(fields | changes))


def a_memory(folder: Path) -> ParsedValues:
    return ParsedValues(folder, parser="test")


def reason(wishes: Wishes, project: Project | None) -> str:
    with pytest.raises(UsageError) as caught:
        settle(wishes, project, ROOT)
    return caught.value.reason


def test_a_project_needs_no_arguments_and_its_paths_are_its_own() -> None:
    settings = settle(Wishes(), a_project(), ROOT)
    assert settings.model == ROOT / "models/face.onnx"
    assert settings.out == ROOT / "bundles"
    assert settings.inputs == ROOT / "check.npz"
    assert (settings.name, settings.patterns) == ("faces", TARGETS)


def test_the_command_line_wins() -> None:
    wishes = Wishes(
        name="mine",
        patterns=("x86_64-linux",),
        binding=Binding(shapes=(("image", (2, 3, 8, 8)), ("mask", (1,)))),
        out=Path("here"),
        inputs=Path("in.npz"),
    )
    settings = settle(wishes, a_project(), ROOT)
    assert settings.name == "mine"
    assert settings.patterns == ("x86_64-linux",)
    assert settings.binding.shapes == (("image", (2, 3, 8, 8)), ("mask", (1,)))
    assert settings.binding.dims == (("batch", 1),)
    assert settings.frozen_file == ROOT / "constants.npz"
    assert (settings.out, settings.inputs) == (Path("here"), Path("in.npz"))


def test_without_a_project_there_are_defaults() -> None:
    settings = settle(Wishes(model=Path("a/Yu Net.onnx"), patterns=TARGETS), None, ROOT)
    assert (settings.name, settings.out) == ("yu-net", Path("dist"))
    assert (settings.binding, settings.inputs) == (Binding(), None)


def test_another_model_takes_only_targets_and_output_from_the_project() -> None:
    settings = settle(Wishes(model=Path("/elsewhere/other.onnx")), a_project(), ROOT)
    assert settings.name == "other"
    assert (settings.binding, settings.inputs, settings.frozen_file) == (Binding(), None, None)
    assert (settings.patterns, settings.out) == (TARGETS, ROOT / "bundles")


def test_the_projects_own_model_may_be_spelled_out() -> None:
    settings = settle(Wishes(model=ROOT / "models" / "face.onnx"), a_project(), ROOT)
    assert settings.name == "faces"


def test_what_is_missing_is_named() -> None:
    assert reason(Wishes(patterns=TARGETS), None) == "no-model"
    assert reason(Wishes(model=Path("m.onnx")), None) == "no-target"
    assert reason(Wishes(), a_project(targets=())) == "no-target"


@pytest.mark.parametrize("name", ["", "..", "a/b", "-rf", ".hidden", "a b", "a\n", "é", "a" * 65])
def test_names_that_could_leave_the_output_folder_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_name(name)
    assert caught.value.reason == "bad-name"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("YuNet.onnx", "yunet"),
        ("my model (1).onnx", "my-model-1"),
        ("..onnx", "model"),
        ("形.onnx", "model"),
        ("a" * 80 + ".onnx", "a" * 64),
        ("$(reboot).onnx", "reboot"),
    ],
)
def test_the_models_file_names_the_bundle(file: str, name: str) -> None:
    assert safe_name(Path(file)) == name


@given(st.text(alphabet=st.characters(exclude_characters="/\0")))
def test_any_file_gives_a_name_that_is_allowed(stem: str) -> None:
    assert checked_name(safe_name(Path(stem + ".onnx")))


def test_the_nearest_project_file_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "boardwright.yaml").write_text("model: outer.onnx\n", encoding="utf-8")
    trust = Trust.of({}, os.geteuid())
    assert find_project(deep, trust) == tmp_path / "boardwright.yaml"
    (tmp_path / "a" / "boardwright.yaml").write_text("model: inner.onnx\n", encoding="utf-8")
    found = find_project(deep, trust)
    assert found == tmp_path / "a" / "boardwright.yaml"
    assert read_project(found, a_memory(tmp_path)).model == "inner.onnx"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("given_away", ["file", "folder", "link"])
def test_a_project_of_another_user_is_not_obeyed(tmp_path: Path, given_away: str) -> None:
    folder = tmp_path / "a"
    (folder / "b").mkdir(parents=True)
    file = folder / "boardwright.yaml"
    file.write_text("model: m.onnx\n", encoding="utf-8")
    if given_away == "link":
        file.rename(tmp_path / "own.yaml")
        file.symlink_to(tmp_path / "own.yaml")
    os.chown(folder if given_away == "folder" else file, 1234, 1234, follow_symlinks=False)
    with pytest.raises(UsageError) as caught:
        find_project(folder / "b", Trust.of({}, 0))
    assert caught.value.reason == "foreign-owner"
    assert caught.value.remedy is not None
    allowed, _, variable = caught.value.remedy.rpartition(" add ")[2].partition(" to ")
    for variables in ({variable: allowed}, {variable: "/x:*"}, {"SUDO_UID": "1234"}):
        assert find_project(folder / "b", Trust.of(variables, 0)) == file


def test_who_called_sudo_counts_for_root_alone() -> None:
    assert Trust.of({"SUDO_UID": "7"}, 0).users == {0, 7}
    assert Trust.of({"SUDO_UID": "7"}, 5).users == {0, 5}
    assert Trust.of({"SUDO_UID": "x"}, 0).users == {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_cache_of_another_user_is_not_taken(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1234)
    with pytest.raises(UsageError) as caught:
        read_environment({"BOARDWRIGHT_CACHE_DIR": str(tmp_path)})
    assert caught.value.reason == "foreign-owner"


def test_a_project_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "boardwright.yaml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError) as caught:
        read_project(file, a_memory(tmp_path))
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(file))
