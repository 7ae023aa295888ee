"""A wrong kernel, put in on purpose, is found, named and kept as a model of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from builder.bundle.manifest import verify_bundle
from builder.cli import app
from builder.effects.eviction import ZIG
from builder.effects.local_workshop import LocalWorkshop

FAULTY_PAYLOAD = Path(__file__).with_name("faulty_payload.py")
Printed = pytest.CaptureFixture[str]


def attention(path: Path) -> Path:
    """Write y = relu(softmax(x a) b) c, with a convolution in front to have blocks as well."""
    dice = np.random.default_rng(0)
    weights = {
        "k": dice.standard_normal((5, 3, 3, 3)),
        "a": dice.standard_normal((8, 21)),  # no whole number of vectors on any CPU
        "b": dice.standard_normal((21, 4)),
        "c": dice.standard_normal((4, 4)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["h"], name="convolution", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h"], ["r"], name="rectifier"),
        helper.make_node("MatMul", ["r", "a"], ["q"], name="first product"),
        helper.make_node("Softmax", ["q"], ["p"], name="the softmax\n$(id)", axis=-1),
        helper.make_node("MatMul", ["p", "b"], ["s"], name="second product"),
        helper.make_node("Relu", ["s"], ["t"], name="second rectifier"),
        helper.make_node("MatMul", ["t", "c"], ["y"], name="third product"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5, 8, 4])],
        [onnx.numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture
def faulty(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let builds run the faulty payload, in a cache of their own but for zig's."""
    (cache / ZIG).mkdir(parents=True, exist_ok=True)
    own = tmp_path / "cache"
    own.mkdir()
    (own / ZIG).symlink_to(cache / ZIG)
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(own))
    original = LocalWorkshop.__init__

    def init(self: LocalWorkshop, python: str, root: Path, environ: Mapping[str, str]) -> None:
        original(self, python, root, environ, (sys.executable, "-P", str(FAULTY_PAYLOAD)))

    monkeypatch.setattr(LocalWorkshop, "__init__", init)


def failed_build(tmp_path: Path, target: str, capsys: Printed) -> dict[str, Any]:
    """Build the attention model for ``target``; return the failure that it ends with."""
    model = attention(tmp_path / "m.onnx")
    options = ("--toolchain", "local", "--json", "-o", str(tmp_path / "out"))
    code = app.run(["build", str(model), "-t", target, *options])
    said = json.loads(capsys.readouterr().out)
    assert code == 5, said["error"]
    error: dict[str, Any] = said["error"]
    return error


@pytest.mark.usefixtures("faulty")
def test_a_wrong_kernel_is_found_and_kept(tmp_path: Path, capsys: Printed) -> None:
    error = failed_build(tmp_path, "x86_64-linux", capsys)
    assert error["reason"] == "verify-failed"
    found = error["details"]["bisection"]
    assert (found["cause"], found["operator"]) == ("node", "Softmax")
    assert found["node"] == "the softmax\n$(id)"
    assert found["local_error"] > 1e-3
    growth = {each["value"]: each["ok"] for each in found["compared"]}
    assert growth["r"]
    assert not growth["p"]

    kept = tmp_path / "out" / "m" / "x86_64-linux" / "bisect"
    assert json.loads((kept / "bisection.json").read_text(encoding="utf-8")) == found
    alone = kept / "reproduce"
    assert [n.op_type for n in onnx.load(alone / "model.onnx").graph.node] == ["Softmax"]
    session = onnxruntime.InferenceSession(alone / "model.onnx")
    with np.load(alone / "inputs.npz") as inputs, np.load(alone / "expected.npz") as expected:
        (made,) = session.run(None, dict(inputs))
        np.testing.assert_allclose(made, expected["p"], rtol=1e-5)
    with np.load(alone / "computed.npz") as computed:
        assert np.abs(computed["p"] - made).max() == pytest.approx(found["local_error"])


def detector(path: Path, *, softmax: bool) -> Path:
    """Write a model whose scores all but tie; the best of them choose among boxes."""
    dice = np.random.default_rng(0)
    nodes, weights, last, channels = [], {}, "x", 3
    for i in range(4):
        weights[f"w{i}"] = dice.standard_normal((16, channels, 3, 3)) / np.sqrt(9 * channels)
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        last, channels = f"r{i}", 16
    weights |= {
        "ws": dice.standard_normal((1, 16, 1, 1)) * 1e-4,
        "wb": dice.standard_normal((4, 16, 1, 1)),
    }
    numbers = {"k": [100], "flat": [1, -1], "rows": [4, -1]}
    nodes += [
        helper.make_node("Conv", [last, "ws"], ["l"], name="score"),
        helper.make_node("Reshape", ["l", "flat"], ["f"]),
        helper.make_node("Softmax" if softmax else "Sigmoid", ["f"], ["s"], name="scores"),
        helper.make_node("TopK", ["s", "k"], ["best", "which"], name="top"),
        helper.make_node("Conv", [last, "wb"], ["b"], name="box"),
        helper.make_node("Reshape", ["b", "rows"], ["boxes"]),
        helper.make_node("Gather", ["boxes", "which"], ["y"], name="gather", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 21, 21])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 1, 100])],
        [
            *(onnx.numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()),
            *(onnx.numpy_helper.from_array(np.array(v), n) for n, v in numbers.items()),
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_scores_that_all_but_tie_are_no_fault(
    tmp_path: Path, cache: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the board checks with is passed there, too: other inputs, or some of it may differ."""
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(cache))
    model = detector(tmp_path / "m.onnx", softmax=False)
    options = ("--toolchain", "local", "--json", "-o", str(tmp_path / "out"))
    code = app.run(["build", str(model), "-t", "x86_64-linux", *options])
    said = json.loads(capsys.readouterr().out)
    assert code == 0, said["error"]
    (receipt,) = said["targets"]
    verified = receipt["verify"]
    assert verified["ok"] is True
    sets = {each["name"]: each for each in verified["sets"]}
    assert set(sets) >= {"seeded", "large", "zeros", "negative", "equal"}
    assert "pieces" in {each["judged"] for each in sets.values()}
    assert {"jump"} <= {each["reason"] for each in verified["cautions"]}
    assert any("'top' (TopK)" in each["why"] for each in verified["cautions"])
    bundle = Path(receipt["bundle"]["path"])
    verify_bundle(bundle)
    (archive,) = bundle.parent.glob("*.tar.gz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert digest == receipt["bundle"]["sha256"]
    subprocess.run([bundle / "bin/run", "--check"], check=True)


@pytest.mark.usefixtures("faulty")
def test_a_wrong_kernel_before_a_jump_is_found(tmp_path: Path, capsys: Printed) -> None:
    model = detector(tmp_path / "m.onnx", softmax=True)
    options = ("--toolchain", "local", "--json", "-o", str(tmp_path / "out"))
    assert app.run(["build", str(model), "-t", "x86_64-linux", *options]) == 5
    found = json.loads(capsys.readouterr().out)["error"]["details"]["bisection"]
    assert (found["cause"], found["node"], found["right"]) == ("node", "scores", False)


@pytest.mark.qemu
@pytest.mark.usefixtures("faulty")
def test_a_wrong_kernel_is_found_under_qemu(tmp_path: Path, capsys: Printed) -> None:
    found = failed_build(tmp_path, "raspberry-pi-4", capsys)["details"]["bisection"]
    assert (found["cause"], found["operator"]) == ("node", "Softmax")
    assert (tmp_path / "out/m/raspberry-pi-4/bisect/reproduce").is_dir()


@pytest.mark.usefixtures("faulty")
def test_a_dump_from_elsewhere_is_looked_through(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = attention(tmp_path / "m.onnx")
    options = ("--toolchain", "local", "--verify", "off")
    assert app.run(["build", str(model), "-t", "x86_64-linux", *options]) == 0
    runner = tmp_path / "dist/m/x86_64-linux/bundle/bin/run"
    subprocess.run([runner, "--dump", tmp_path / "dump"], check=True)
    capsys.readouterr()
    assert app.run(["bisect", "dump", str(model), "--toolchain", "local", "--json"]) == 5
    found = json.loads(capsys.readouterr().out)
    assert (found["cause"], found["operator"]) == ("node", "Softmax")
    assert (tmp_path / "bisect" / "reproduce" / "model.onnx").is_file()


@pytest.mark.parametrize("listed", ["{}", "[]", '{"tensors": [{"file": "../x"}]}', "\x00"])
def test_a_dump_is_not_trusted(
    tmp_path: Path, cache: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(cache))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "dump.json").write_text(listed, encoding="utf-8")
    model = attention(tmp_path / "m.onnx")
    assert app.run(["bisect", "dump", str(model), "--toolchain", "local", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["reason"] == "bad-dump"
