"""No value of an input breaks the process: right numbers, or an error that names the value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from builder.compiler.checks.operands import TABLE
from builder.compiler.pipeline import compile_model
from builder.compiler.prepare.pipeline import prepare
from builder.model.target import Cpu, Libc, Platform
from tests.e2e import hostile_values
from tests.e2e.hostile_values import INTEGERS, OPSETS, Operand
from tests.e2e.runtime_builds import LIBRARY, ROOT, RUNTIME, Gcc, call

Array = npt.NDArray[Any]
Inputs = dict[str, Array]

PLATFORM = Platform(arch="x86_64", libc=Libc(family="glibc", floor="2.17"))
CPU = Cpu(mcpu="x86-64-v2", mattr=(), cores=1, features=())


@dataclass(frozen=True, kw_only=True)
class Built:
    """The library of one of the models, in a folder as ``hostile_trials`` wants it."""

    opset: int
    folder: Path

    @property
    def operands(self) -> list[Operand]:
        return hostile_values.operands(self.opset)

    def good(self, seed: int) -> Inputs:
        return good_inputs(self.opset, seed)


def good_inputs(opset: int, seed: int) -> Inputs:
    generator = np.random.default_rng(seed)
    indices = {each.name: each.good(generator) for each in hostile_values.operands(opset)}
    return indices | hostile_values.numbers(opset, seed)


def build(folder: Path, made: onnx.ModelProto, given: Mapping[str, Array]) -> None:
    """Put the model's library and weights in ``folder``."""
    source, prepared, compiled = (folder / name for name in ("source.onnx", "prepared", "compiled"))
    onnx.save(made, source)
    save(folder / "given.npz", given)
    for each in (prepared, compiled):
        each.mkdir()
    prepare(source, seed=0, output=prepared, given=folder / "given.npz", log=lambda _: None)
    compile_model(
        prepared,
        platform=PLATFORM,
        cpu=CPU,
        templates=ROOT / "templates",
        output=compiled,
        log=lambda _: None,
    )
    kernels = sorted((compiled / "kernels").glob("*.o"))
    names = ('-DBW_MODEL_NAME="hostile"', '-DBW_TARGET_NAME="here"')
    shared = ("-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-I", RUNTIME, *names)
    sources = (*LIBRARY, compiled / "plan.c", *kernels)
    linked = call("gcc", *shared, *sources, "-o", folder / "libmodel.so", "-lpthread", "-lm")
    assert linked.returncode == 0, linked.stderr
    (folder / "share").mkdir()
    (compiled / "weights.bin").rename(folder / "share" / "weights.bin")


def save(path: Path, arrays: Mapping[str, Array]) -> None:
    named: dict[str, Any] = dict(arrays)
    np.savez(path, **named)


def play(folder: Path, trials: Sequence[Inputs]) -> list[str | Inputs]:
    """Run the trials in one process and on one instance; return outputs or the library's words."""
    arrays = {f"{n}/{name}": value for n, one in enumerate(trials) for name, value in one.items()}
    save(folder / "trials.npz", arrays)
    path = os.pathsep.join(map(str, (ROOT, ROOT / "templates" / "bundle" / "python")))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("hostile_trials.py")), str(folder)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"trial {done.stdout.split()[-1:]}: {done.stderr[-2000:]}"
    answers: dict[int, Inputs] = {}
    with np.load(folder / "answers.npz") as archive:
        for key in archive.files:
            number, name = key.split("/", 1)
            answers.setdefault(int(number), {})[name] = archive[key]
    return [str(answers[n][""]) if "" in answers[n] else answers[n] for n in range(len(trials))]


@pytest.fixture(scope="module", params=OPSETS)
def library(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, gcc: Gcc
) -> Built:
    if (missing := gcc.require("none")) is not None:
        pytest.skip(missing)
    opset: int = request.param
    folder = tmp_path_factory.mktemp("hostile")
    build(folder, hostile_values.model(opset), good_inputs(opset, 0))
    return Built(opset=opset, folder=folder)


def computed(made: onnx.ModelProto, inputs: Inputs) -> Inputs:
    """Return what ONNX Runtime says."""
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def expected(opset: int, inputs: Inputs) -> Inputs:
    """Return what ONNX Runtime says; its fmod of 64-bit integers goes through float64."""
    outputs = computed(hostile_values.model(opset), inputs)
    exact = {
        f"{dtype}_fmod_out": np.fmod(inputs[f"{dtype}_of"], inputs[f"{dtype}_by"])
        for dtype in ("int64", "uint64")
        if f"{dtype}_of" in inputs
    }
    return outputs | exact


def test_allowed_values_give_right_numbers(library: Built) -> None:
    trials = [library.good(seed) for seed in range(1, 9)]
    for inputs, found in zip(trials, play(library.folder, trials), strict=True):
        assert isinstance(found, dict), found
        _agrees(found, expected(library.opset, inputs))


def _agrees(found: Inputs, right: Inputs) -> None:
    for name, value in right.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_value_that_an_operator_cannot_have_is_named_and_the_next_run_is_right(
    library: Built,
) -> None:
    good = library.good(1)
    tried = [(operand, *one) for operand in library.operands for one in operand.hostile()]
    trials: list[Inputs] = []
    for number, (operand, element, value, _) in enumerate(tried):
        trials += [spoiled(good, operand, element, value, number), good]
    said = play(library.folder, trials)
    right = expected(library.opset, good)
    for (operand, _, _, words), error, after in zip(tried, said[::2], said[1::2], strict=True):
        assert isinstance(error, str), f"{operand.name} {words}: it ran"
        assert words in error, f"{operand.name}: {error}"
        assert f"'{operand.name}'" in error or f"'{operand.name}_node" in error, error
        assert isinstance(after, dict)
        _agrees(after, right)


def spoiled(good: Inputs, operand: Operand, element: int, value: int, number: int) -> Inputs:
    """Return ``good`` with one bad value, in a row that the trial's number chooses."""
    array = good[operand.name].copy()
    rows = array.reshape(-1, len(operand.bounds) or 1)
    rows[number % len(rows), element] = value
    return good | {operand.name: array}


def test_every_operator_that_can_be_hostile_is_tried() -> None:
    tried = {node.op_type for opset in OPSETS for node in hostile_values.model(opset).graph.node}
    assert {*TABLE} - tried == {"Scatter"}  # the older name of ScatterElements


def test_the_least_integer_by_minus_one_wraps(library: Built) -> None:
    inputs = library.good(1)
    signed = [dtype for dtype in INTEGERS if dtype.startswith("int") and f"{dtype}_by" in inputs]
    for dtype in signed:
        inputs[f"{dtype}_of"][:] = np.iinfo(dtype).min
        inputs[f"{dtype}_by"][:] = -1
    (found,) = play(library.folder, [inputs])
    assert isinstance(found, dict), found
    for dtype in signed:
        assert (found[f"{dtype}_div_out"] == np.iinfo(dtype).min).all()
        assert not found[f"{dtype}_mod_out"].any()
        assert not found[f"{dtype}_fmod_out"].any()


def test_the_plan_lists_each_check_once(library: Built) -> None:
    plan = json.loads((library.folder / "compiled" / "plan.json").read_text(encoding="utf-8"))
    tensors = [check["tensor"] for check in plan["checks"]]
    assert len(tensors) == len(set(tensors))
    names = {operand.name for operand in library.operands}
    reshaped = {"label", "positions", "unpool"}  # checked behind that
    assert names - {*tensors} <= reshaped


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, gcc: Gcc) -> Path:
    if (missing := gcc.require("none")) is not None:
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("places")
    build(folder, *hostile_values.places())
    return folder


FAR = (np.nan, np.inf, -np.inf, 1e20, -1e20, 3e38, -3e38, 1e5, -1e5, 3e9, 1.5)
"""No places at all, places beyond every integer, and some that are merely outside."""


def test_places_that_are_none_are_outside_as_in_onnx_runtime(places: Path) -> None:
    made, good = hostile_values.places()
    trials = []
    for value in FAR:
        grid, offset = good["grid"].copy(), good["offset"].copy()
        if abs(value) != 3e9:  # ONNX Runtime's own weights have no digits left there
            grid[0, 1, :, 0] = grid[0, 2, :, 1] = value
        offset[0, 0, 1, :] = offset[0, 1, :, 2] = value
        trials.append(good | {"grid": grid, "offset": offset})
    for inputs, found in zip(trials, play(places, trials), strict=True):
        assert isinstance(found, dict), found
        _agrees(found, computed(made, inputs))


@pytest.mark.parametrize("roi", [[-1e20, -1e20, 1e20, 1e20], [0, 0, 300, 200], [-90, 0, 99, 3]])
def test_regions_beyond_the_image_are_as_in_onnx_runtime(places: Path, roi: list[float]) -> None:
    made, good = hostile_values.places()
    inputs = good | {"rois": np.array([roi] * 3, np.float32)}
    (found,) = play(places, [inputs])
    assert isinstance(found, dict), found
    _agrees(found, computed(made, inputs))


def test_huge_regions_end_and_regions_without_end_are_refused(places: Path) -> None:
    """ONNX Runtime has no memory for the samples of the huge ones."""
    _, good = hostile_values.places()
    huge = [[0, 0, 1e9, 2], [-3e38, 0, 3e38, 2], [3e9, 0, 4e9, 1]]
    trials = [good | {"rois": np.array([roi] * 3, np.float32)} for roi in huge]
    for value in (np.nan, np.inf, -np.inf):
        trials.append(good | {"rois": np.where(good["rois"] == 9, value, good["rois"])})
    said = play(places, trials)
    assert all(isinstance(found, dict) for found in said[:3])
    words = "coordinate that is not finite is not allowed: element 7 of tensor 'rois', which node"
    assert all(str(error).startswith(words) for error in said[3:])
