"""The command as a process: what it imports, and how it ends when somebody ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).parents[2]
BUILD = (sys.executable, "-m", "builder", "build", "-t", "x86_64-linux", "--toolchain", "local")
HEAVY = (
    "tvm",
    "onnx",
    "onnxruntime",
    "numpy",
    "docker",
    "rich",
    "pydantic",
    "paramiko",
    "filelock",
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BOARDWRIGHT_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose file is old enough for its digest to be remembered."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4))
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    path = tmp_path / "small.onnx"
    onnx.save(helper.make_model(graph), path)
    os.utime(path, (1e9, 1e9))
    return path


def imported(arguments: list[str], environ: dict[str, str], cwd: Path) -> set[str]:
    """Return the heavy packages that running the command imports."""
    code = (
        "import sys; from builder.cli.app import run\n"
        f"assert run({arguments!r}) == 0\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_help_imports_nothing_heavy(environ: dict[str, str], tmp_path: Path) -> None:
    assert imported(["--help"], environ, tmp_path) == set()


def test_a_plan_made_before_is_made_without_parsing(
    environ: dict[str, str], model: Path, tmp_path: Path
) -> None:
    words = ["build", str(model), "-t", "jetson-nano", "--toolchain", "local", "--dry-run"]
    first = imported(words, environ, tmp_path)
    assert {"pydantic", "onnx"} <= first
    assert imported(words, environ, tmp_path) == set()


def test_a_reader_that_leaves_is_no_failure_to_talk_about(environ: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "builder", "targets", "schema"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 141
    assert complaints == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_stopped_leaves_nothing(
    environ: dict[str, str], model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [*BUILD, str(model), "-v"],
        env=environ,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert any("preparing" in line for line in process.stdout)
    process.send_signal(number)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaints.startswith("error: stopped")
    assert not (tmp_path / "dist").exists()
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []
    assert running_below(tmp_path) == []


def test_an_interrupted_build_says_so_as_json(
    environ: dict[str, str], model: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [*BUILD, str(model), "-v", "--json"],
        env=environ,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 60
    while not (tmp_path / "cache" / "tmp").exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert json.loads(printed)["error"]["reason"] == "interrupted"


def running_below(folder: Path) -> list[str]:
    """Return the processes whose working folder lies below ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
        except OSError:
            continue  # it has just ended, or is somebody else's
    return found
