"""Hostile models through the whole program: refused by name, in little memory and time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.e2e.costly_models import COSTLY_MODELS
from tests.e2e.hostile_models import HOSTILE, Hostile, node, save, simple

ROOT = Path(__file__).parents[2]
MEMORY_BYTES = 1 << 30
CPU_S = 5.0
HANGS_AFTER_S = 60.0
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime, file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A finished program: exit code, what it printed as JSON, the largest process's memory.

    ``cpu_s`` is what it and its processes computed: how long that took is up to the machine.
    """

    code: int
    said: dict[str, Any]
    peak_bytes: int
    cpu_s: float


def boardwright(verb: str, model: Path, cache: Path, *options: str) -> Ended:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cache),
        "PYTHONPATH": str(ROOT),
        "BOARDWRIGHT_CACHE_DIR": str(cache),
    }
    argv = (sys.executable, "-m", "builder", verb, str(model), "--toolchain", "local", "--json")
    # From a small process: a child's peak begins with what its parent had when it was forked, and
    # RUSAGE_CHILDREN of this process speaks of every test that ran before.
    watched = (sys.executable, "-c", MEASURE, *argv, *options)
    program = subprocess.Popen(
        watched,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cache.parent,
        env=environment,
        start_new_session=True,
    )
    try:
        out, told = program.communicate(timeout=HANGS_AFTER_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    *_, peak_kib, cpu_s = told.split()
    return Ended(
        code=program.returncode,
        said=json.loads(out),
        peak_bytes=int(peak_kib) * 1024,
        cpu_s=float(cpu_s),
    )


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("hostile", HOSTILE + COSTLY_MODELS, ids=lambda hostile: hostile.name)
def test_refused_by_name_in_little_memory_and_time(hostile: Hostile, tmp_path: Path) -> None:
    place, cache = tmp_path / "models", tmp_path / "cache"
    place.mkdir()
    model = hostile.make(place)
    before = files(place)
    ended = boardwright("check", model, cache)
    error = ended.said["error"]
    assert (ended.code, error["exit_code"]) == (3, 3), error
    assert error["reason"] in hostile.reasons, error
    assert hostile.named in json.dumps(error)
    assert ended.peak_bytes <= MEMORY_BYTES
    assert ended.cpu_s <= CPU_S
    assert files(place) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"models", "cache"}


def test_limits_are_raised_and_lowered(tmp_path: Path) -> None:
    place, cache = tmp_path / "models", tmp_path / "cache"
    place.mkdir()
    model = save(place, simple([node("MatMul", ["x", "x"], ["y"])], shape=(64, 64)))
    for option in ("--limit-operations=500K", "--limit-memory=16K"):
        error = boardwright("check", model, cache, option).said["error"]
        assert error["reason"] == "too-costly"
        assert option.split("=")[0] in error["remedy"]
        assert error["details"]["needed"] > error["details"]["limit"]
    assert boardwright("check", model, cache, "--limit-operations=600K").code == 0


NAMES = (
    "$(touch /tmp/boardwright-was-here)",
    "../../../boardwright-escaped",
    "/etc/boardwright-absolute",
    "<script>alert(1)</script>",
    'a"; int main; //',
    "\x1b[31mred\nline\ttab",
    "*/ #include </etc/passwd> /*",
    "名前 {{ 7 * 7 }} {% raw %}",
    "-rf",
    ".",
    "a" * 5000,
)


def test_strange_names_are_built_and_reach_nothing_raw(tmp_path: Path) -> None:
    """Names that are text are the author's business: they stay names, wherever they stand."""
    place = tmp_path / "models"
    place.mkdir()
    model = place / "m.onnx"
    made = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in NAMES]
    nodes = [
        helper.make_node("Relu" if i % 2 else "Abs", ["x"], [name], name=name)
        for i, name in enumerate(NAMES)
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    graph = helper.make_graph(nodes, NAMES[0], [x], made, doc_string=NAMES[3])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), model)
    ended = boardwright(
        "build", model, tmp_path / "cache", "-t", "x86_64-linux", "-o", str(tmp_path / "out")
    )
    assert ended.code == 0, ended.said
    assert {path.name for path in tmp_path.iterdir()} == {"models", "cache", "out"}
    assert not Path("/tmp/boardwright-was-here").exists()
    bundle = tmp_path / "out" / "m" / "x86_64-linux" / "bundle"
    assert all(path.resolve().is_relative_to(bundle.resolve()) for path in bundle.rglob("*"))
    texts = [path.read_text(encoding="utf-8") for path in bundle.rglob("*.md")]
    assert texts
    assert not any("<script>" in text or "\x1b" in text for text in texts)
    listed = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    assert [output["name"] for output in listed["signature"]["outputs"]] == list(NAMES)


def test_weights_that_are_no_numbers_compute_what_onnx_runtime_does(tmp_path: Path) -> None:
    place = tmp_path / "models"
    place.mkdir()
    odd = np.array([[np.nan, np.inf, -np.inf, 1.0]] * 4, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Add", ["m", "w"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 4])],
        [onnx.numpy_helper.from_array(odd, "w")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), place / "m.onnx")
    ended = boardwright(
        "build",
        place / "m.onnx",
        tmp_path / "cache",
        *("-t", "x86_64-linux", "-o", str(tmp_path / "out")),
    )
    assert ended.code == 0, ended.said
    assert ended.said["targets"][0]["verify"]["ok"] is True
