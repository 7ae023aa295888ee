"""``boardwright matrix`` and ``summary`` as commands: files that CI services accept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from tests.contract.test_git import git

ROOT = Path(__file__).parents[2]
SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}
PROJECT = """\
model: models/small.onnx
targets: [x86_64-linux, own]
devices:
  - {name: nano.1, target: jetson-nano, host: nano, tags: [lab, arm]}
  - {name: pc, target: x86_64-linux, host: local, tags: [lab]}
"""

Boardwright = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project two folders below the root of a git work tree, with a target of its own."""
    folder = tmp_path / "re po" / "vision"
    (folder / "models").mkdir(parents=True)
    (folder / "boards").mkdir()
    (folder / "boardwright.yaml").write_text(PROJECT)
    (folder / "boards" / "own.yaml").write_text("extends: jetson-nano\nname: own\n")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    onnx.save(helper.make_model(graph), folder / "models" / "small.onnx")
    git(folder.parent, "init", "--initial-branch=main")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-m", "one")
    return folder


@pytest.fixture
def boardwright(project: Path, tmp_path: Path) -> Boardwright:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BOARDWRIGHT_CACHE_DIR": str(tmp_path / "cache"),
        "BOARDWRIGHT_DEVICES": str(tmp_path / "none.yaml"),
    }

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "builder", *arguments)
        return subprocess.run(command, env=environ, cwd=project, capture_output=True, text=True)

    return call


def jobs(done: subprocess.CompletedProcess[str]) -> tuple[list[str], list[str]]:
    assert done.returncode == 0, done.stderr
    matrix = json.loads(done.stdout)
    return (
        [job["target"] for job in matrix["compile"]["include"]],
        [job["device"] for job in matrix["hardware"]["include"]],
    )


MATRIX = ("matrix", "--targets", "boards")
ALL = (["x86_64-linux", "own", "jetson-nano"], ["nano.1", "pc"])


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_the_services_own_schema_accepts_the_file(
    boardwright: Boardwright, tmp_path: Path, service: str
) -> None:
    done = boardwright(*MATRIX, "--format", service)
    assert done.returncode == 0, done.stderr
    file = tmp_path / f"{service}.yml"
    file.write_text(done.stdout)
    check = (Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema")
    checked = subprocess.run((*check, SCHEMAS[service], file), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_every_script_is_one_that_bash_reads(boardwright: Boardwright, service: str) -> None:
    scripts = list(scripts_in(yaml.safe_load(boardwright(*MATRIX, "--format", service).stdout)))
    assert len(scripts) > 10
    for script in scripts:
        checked = subprocess.run(("bash", "-n"), input=script, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


@pytest.fixture
def shell(project: Path, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a script as a job would, in the project's folder; what builds only plans to."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "boardwright").write_text(
        f'#!/bin/sh\n[ "$1" != build ] || set -- "$@" --dry-run\n'
        f'exec {sys.executable} -m builder "$@"\n'
    )
    (programs / "boardwright").chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "BOARDWRIGHT_CACHE_DIR": str(tmp_path / "cache"),
        "BOARDWRIGHT_DEVICES": str(tmp_path / "none.yaml"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "ONLY_CHANGED": "",
    }

    def call(script: str) -> subprocess.CompletedProcess[str]:
        command = ("bash", "-e", "-o", "pipefail", "-c", script)
        return subprocess.run(command, env=environ, cwd=project, capture_output=True, text=True)

    return call


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, which GitHub's runners have")
def test_the_plan_comes_to_the_jobs_of_the_file(
    boardwright: Boardwright,
    shell: Callable[[str], subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    workflow = yaml.safe_load(boardwright(*MATRIX, "--tag", "arm", "--format", "github").stdout)
    done = shell(workflow["jobs"]["plan"]["steps"][-1]["run"])
    assert done.returncode == 0, done.stderr
    told = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert [json.loads(told[key]) for key in ("targets", "devices")] == [ALL[0], ["nano.1"]]


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_a_target_of_the_projects_own_is_built(
    boardwright: Boardwright,
    shell: Callable[[str], subprocess.CompletedProcess[str]],
    service: str,
) -> None:
    jobs = yaml.safe_load(boardwright(*MATRIX, "--format", service).stdout)
    [script] = [
        script
        for script in scripts_in(jobs.get("jobs", jobs)["compile-own"])
        if "boardwright build" in script
    ]
    done = shell(f"mkdir -p results\n{script}")
    assert done.returncode == 0, done.stdout + done.stderr


def scripts_in(value: Any) -> list[str]:
    """Return what a workflow or a pipeline has shells run, wherever it stands."""
    if isinstance(value, list):
        return [script for item in value for script in scripts_in(item)]
    if not isinstance(value, dict):
        return []
    own = [value["run"]] if isinstance(value.get("run"), str) else []
    lists = (value.get(key, []) for key in ("script", "before_script", "after_script"))
    return [
        *own,
        *("\n".join(lines) for lines in lists if lines),
        *(script for item in value.values() for script in scripts_in(item)),
    ]


def test_boards_bring_their_targets(boardwright: Boardwright) -> None:
    assert jobs(boardwright(*MATRIX)) == ALL


def test_tags_choose_the_boards(boardwright: Boardwright) -> None:
    targets, devices = jobs(boardwright(*MATRIX, "--tag", "lab", "--tag", "arm"))
    assert (targets, devices) == (["x86_64-linux", "own", "jetson-nano"], ["nano.1"])


def test_targets_choose_everything(boardwright: Boardwright) -> None:
    assert jobs(boardwright(*MATRIX, "-t", "x86_64-linux")) == (["x86_64-linux"], ["pc"])


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("README.md", ([], [])),
        ("boards/own.yaml", (["own"], [])),
        ("models/small.onnx", ALL),
        ("boardwright.yaml", ALL),
    ],
)
def test_what_has_not_changed_is_left_out(
    boardwright: Boardwright, project: Path, file: str, expected: tuple[list[str], list[str]]
) -> None:
    git(project, "switch", "-c", "work")
    before = (project / file).read_bytes() if (project / file).exists() else b""
    (project / file).write_bytes(before + b"\n" if file.endswith("yaml") else before)
    if not file.endswith("yaml"):
        (project / file).write_bytes(before + b"\x1a\x00")  # an unknown field, empty
    git(project, "add", ".")
    git(project, "commit", "-m", "two")
    assert jobs(boardwright(*MATRIX, "--only-changed", "main")) == expected


def test_a_watched_file_changes_everything(boardwright: Boardwright, project: Path) -> None:
    (project.parent / "requirements.txt").write_text("boardwright==2\n")
    watched = ("--watch", "../requirements.txt", "--only-changed", "main")
    assert jobs(boardwright(*MATRIX, *watched)) == ALL


def test_an_unknown_reference_is_a_line(boardwright: Boardwright) -> None:
    done = boardwright(*MATRIX, "--only-changed", "nowhere")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2


def test_a_summary_of_a_failed_build_and_of_a_job_that_died(
    boardwright: Boardwright, project: Path
) -> None:
    (project / "models" / "small.onnx").write_bytes(b"no model")
    (project / "built.json").write_text(
        boardwright("build", "-t", "x86_64-linux", "--toolchain", "local", "--json").stdout
    )
    done = boardwright("summary", "built.json", "died.json", "--junit", "junit.xml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| failed |") == 2
    root = ElementTree.parse(project / "junit.xml").getroot()
    assert root.get("failures") == "2"


def test_a_model_outside_the_repository_is_warned_of(
    project: Path, boardwright: Boardwright, tmp_path: Path
) -> None:
    (project / "models" / "small.onnx").rename(tmp_path / "far.onnx")
    text = PROJECT.replace("models/small.onnx", str(tmp_path / "far.onnx"))
    (project / "boardwright.yaml").write_text(text + "targets_dir: boards\n")
    done = boardwright("matrix", "--json")
    assert done.returncode == 0, done.stderr
    assert "far.onnx is outside of" in done.stderr
    compiled = json.loads(done.stdout)["compile"]["include"]
    assert {"own", "x86_64-linux"} <= {job["target"] for job in compiled}


def test_the_projects_own_targets_are_known_to_every_verb(
    project: Path, boardwright: Boardwright
) -> None:
    (project / "boardwright.yaml").write_text(PROJECT + "targets_dir: boards\n")
    for verb in (("targets", "show", "own"), ("build", "--dry-run"), ("matrix",)):
        done = boardwright(*verb)
        assert done.returncode == 0, done.stderr
        assert "own" in done.stdout


def test_what_no_index_has_is_warned_of(project: Path, boardwright: Boardwright) -> None:
    (project / "boardwright.yaml").write_text(PROJECT + "targets_dir: boards\n")
    assert "--requirement" in boardwright("matrix", "--format", "github").stderr
    named = boardwright("matrix", "--format", "github", "--requirement", "./boardwright")
    assert "--requirement" not in named.stderr
    assert "./boardwright" in named.stdout


def test_json_and_another_format_contradict_each_other(boardwright: Boardwright) -> None:
    assert boardwright("matrix", "--json", "--format", "github").returncode == 2
