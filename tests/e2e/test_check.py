"""``boardwright check`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper

from builder.cli import app
from builder.errors import UsageError

DIGITS = Path(__file__).parents[2] / "ci" / "models" / "digits.onnx"
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(capsys: Printed, *arguments: str) -> tuple[int, dict[str, Any]]:
    code = app.run(["check", *arguments, "--toolchain", "local", "--json"])
    return code, json.loads(capsys.readouterr().out)


def finder(path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["y"], name="the\x1bfinder")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [2, None])],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_a_good_model_is_told_in_figures(capsys: Printed) -> None:
    code, said = check(capsys, str(DIGITS), "-t", "jetson-nano", "-t", "x86_64-linux")
    assert (code, said["status"]) == (0, "ok")
    assert said["parameters"] > 0
    assert said["flops"] > said["parameters"]
    assert [each["target"] for each in said["targets"]] == ["jetson-nano", "x86_64-linux"]
    first = said["targets"][0]
    assert first["total"] == first["weights"] + first["activations"] + first["inputs_and_outputs"]


def test_text_says_the_same(capsys: Printed) -> None:
    assert app.run(["check", str(DIGITS), "--toolchain", "local"]) == 0
    assert "x86_64-linux" in capsys.readouterr().out


def test_no_container_is_needed(
    capsys: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody-listens.sock")
    assert app.run(["check", str(DIGITS)]) == 0
    assert "x86_64-linux" in capsys.readouterr().out


def test_a_container_that_is_asked_for_is_no_wish(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object) -> None:
        raise UsageError("nobody answers", reason="no-docker-engine")

    monkeypatch.setattr("builder.cli.toolchains._docker_workshop", nobody)
    assert app.run(["check", str(DIGITS), "--toolchain", "docker", "--json"]) != 0
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["reason"] == "no-docker-engine"


@pytest.mark.parametrize("slug", ["missing-package", "broken-environment", "no-ndk"])
def test_a_container_serves_where_this_environment_cannot(
    monkeypatch: pytest.MonkeyPatch, slug: str
) -> None:
    asked: list[str] = []

    def cannot(*_: object) -> None:
        raise UsageError("cannot", reason=slug)

    def obtain(*_: object) -> None:
        asked.append("an image")
        cannot()

    monkeypatch.setattr("builder.cli.toolchains.engine_answers", lambda _: True)
    monkeypatch.setattr("builder.cli.toolchains._local", cannot)
    monkeypatch.setattr("builder.cli.toolchains._obtain", obtain)
    assert app.run(["check", str(DIGITS)]) != 0
    assert asked == ["an image"]


def test_a_bad_model_is_told_by_node(capsys: Printed, tmp_path: Path) -> None:
    model = finder(tmp_path / "m.onnx")
    code, said = check(capsys, str(model), "--dim", "batch=3")
    assert (code, said["status"]) == (3, "refused")
    assert said["error"]["reason"] == "data-dependent-shape"
    assert said["nodes"][0]["operator"] == "NonZero"
    assert app.run(["check", str(model), "--toolchain", "local", "--dim", "batch=3"]) == 3
    assert "\x1b" not in capsys.readouterr().out


def test_inputs_are_given_where_seeded_ones_do_not_suit(capsys: Printed, tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (int64[8] i, float[3] x) => (float[8] y) <int64 two = {2}>
        { j = Add (i, two) y = Gather (x, j) }"""
    model, inputs = tmp_path / "m.onnx", tmp_path / "inputs.npz"
    onnx.save(onnx.parser.parse_model(text), model)
    code, said = check(capsys, str(model))
    assert (code, said["error"]["reason"]) == (3, "reference-failed")
    np.savez(inputs, i=np.full(8, -1), x=np.ones(3, np.float32))
    assert check(capsys, str(model), "--inputs", str(inputs))[0] == 0


def test_an_open_dimension_is_a_refusal_with_its_remedy(capsys: Printed, tmp_path: Path) -> None:
    code, said = check(capsys, str(finder(tmp_path / "m.onnx")))
    assert (code, said["error"]["reason"], said["nodes"]) == (3, "open-shape", [])


def test_a_dimension_that_is_not_there_is_a_usage_error(capsys: Printed, tmp_path: Path) -> None:
    code, said = check(capsys, str(finder(tmp_path / "m.onnx")), "--dim", "batches=3")
    assert (code, said["error"]["reason"]) == (2, "unknown-dim")
