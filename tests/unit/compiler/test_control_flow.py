"""Branches, loops, sequences, functions and 16-bit floats: gone from the prepared model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, parser

from builder.compiler.prepare import control_flow, skeleton
from builder.compiler.prepare.control_flow import resolve_control_flow
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.prepare.rewriting import Graph
from builder.compiler.weights import WeightsWriter
from builder.errors import ModelRefused

HEADER = '<ir_version: 8, opset_import: ["" : 17, "local" : 1]>\n'


def prepared(folder: Path, text: str) -> onnx.ModelProto:
    """Prepare a model given in ONNX's own text; its results must be those of ONNX Runtime."""
    return prepared_model(folder, parser.parse_model(HEADER + text))


def resolved(folder: Path, text: str) -> onnx.GraphProto:
    """Return the graph of a model given in ONNX's own text, its control flow resolved."""
    onnx.save(parser.parse_model(HEADER + text), folder / "m.onnx")
    with WeightsWriter(folder / "weights.data") as writer:
        made = skeleton.read(folder / "m.onnx", writer)
        resolve_control_flow(made)
    return made.model.graph


def prepared_model(folder: Path, given: onnx.ModelProto) -> onnx.ModelProto:
    source, output = folder / "m.onnx", folder / "out"
    onnx.save(given, source)
    output.mkdir()
    prepare(source, seed=1, output=output, log=lambda _: None)
    model = onnx.load(output / "model.onnx")
    session = onnxruntime.InferenceSession(output / "model.onnx")
    feed = {v.name: _loaded(output, "inputs", v.name) for v in session.get_inputs()}
    for value, found in zip(session.get_outputs(), session.run(None, feed), strict=True):
        expected = _loaded(output, "expected", value.name)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    return model


def _loaded(output: Path, kind: str, name: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(output / "check" / kind / f"{name}.npy")
    return array


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


CASES: Mapping[str, tuple[str, Sequence[str]]] = {
    "a branch that a shape decides": (
        """g (float[3, 4] x) => (float[3, 4] y)
        <int64[1] zero = {0}, int64[1] one = {1}, int64[1] three = {3}> {
            s = Shape (x)
            n = Slice (s, zero, one)
            c = Equal (n, three)
            flat = Squeeze (c)
            y = If (flat) <then_branch = t () => (float[3, 4] a) { a = Relu (x) },
                           else_branch = e () => (float[3, 4] b) { b = Neg (x) }>
        }""",
        ["Relu"],
    ),
    "a branch in a branch": (
        """g (float[4] x) => (float[4] y) <bool yes = {1}, bool no = {0}> {
            y = If (yes) <then_branch = t () => (float[4] a) {
                    a = If (no) <then_branch = tt () => (float[4] b) { b = Neg (x) },
                                 else_branch = te () => (float[4] c) { c = Abs (x) }> },
                else_branch = e () => (float[4] d) { d = Exp (x) }>
        }""",
        ["Abs"],
    ),
    "a loop of three rounds, collecting": (
        """g (float[2] x) => (float[2] last, float[3, 2] all) <int64 n = {3}, bool yes = {1}> {
            last, all = Loop (n, yes, x) <body =
                b (int64 i, bool c, float[2] v) => (bool d, float[2] w, float[2] seen) {
                    d = Identity (c)
                    k = Cast <to = 1> (i)
                    w = Add (v, k)
                    seen = Mul (w, w)
                }>
        }""",
        [],
    ),
    "a loop until its own counter says so": (
        """g (float[2] x) => (float[2] last) <int64 n = {20}, bool yes = {1}, int64 four = {4}> {
            last = Loop (n, yes, x) <body =
                b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
                    d = Less (i, four)
                    w = Sin (v)
                }>
        }""",
        ["Sin"] * 5,
    ),
    "a scan backwards": (
        """g (float[2] x, float[3, 2] xs) => (float[2] last, float[3, 2] all) {
            last, all = Scan <num_scan_inputs = 1, scan_input_directions = [1], body =
                b (float[2] s, float[2] v) => (float[2] t, float[2] u) {
                    t = Add (s, v)
                    u = Mul (t, s)
                }> (x, xs)
        }""",
        [],
    ),
    "a sequence that a loop builds": (
        """g (float[2] x) => (float[6] y) <int64 n = {3}, bool yes = {1}> {
            e = SequenceEmpty <dtype = 1> ()
            q = Loop (n, yes, e) <body =
                b (int64 i, bool c, seq(float[2]) s) => (bool d, seq(float[2]) t) {
                    d = Identity (c)
                    k = Cast <to = 1> (i)
                    w = Mul (x, k)
                    t = SequenceInsert (s, w)
                }>
            y = ConcatFromSequence <axis = 0> (q)
        }""",
        [],
    ),
    "a function of the model's own": (
        """g (float[2] x) => (float[2] y) { y = local.twice (x) }
        <domain: "local", opset_import: ["" : 17]>
        twice (a) => (b) { c = Sin (a)  b = Add (c, c) }""",
        ["Sin", "Add"],
    ),
    "a function written in another operator set": (
        """g (float[2] x) => (float[2] y) { y = local.twice (x) }
        <domain: "local", opset_import: ["" : 15]>
        twice (a) => (b) { c = Sin (a)  b = Add (c, c) }""",
        ["Sin", "Add"],
    ),
}


@pytest.mark.parametrize(("text", "left"), CASES.values(), ids=list(CASES))
def test_what_constants_decide_is_written_out(
    tmp_path: Path, text: str, left: Sequence[str]
) -> None:
    found = operators(prepared(tmp_path, text))
    assert not {"If", "Loop", "Scan", "twice"} & set(found)
    assert not left or found == list(left)


NESTED = """g (float[2] x) => (float[2] y) <int64 n = {1000}, bool yes = {1}> {
    [outer] y = Loop (n, yes, x) <body =
        b (int64 i, bool c, float[2] v) => (bool d, float[2] w)
        <int64 m = {1000}> {
            d = Identity (c)
            [inner] w = Loop (m, c, v) <body =
                bb (int64 j, bool e, float[2] p) => (bool f, float[2] q) {
                    f = Identity (e)
                    q = Sin (p)
                }>
        }>
}"""


def test_loops_in_loops_count_as_often_as_they_run(tmp_path: Path) -> None:
    assert [node.name for node in resolved(tmp_path, NESTED).node] == ["outer"]


def test_loops_share_the_room_that_a_model_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = """Loop (n, yes, {}) <body =
        b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {{
            d = Identity (c)
            w = Sin (v)
        }}>"""
    text = f"""g (float[2] x) => (float[2] y) <int64 n = {{10}}, bool yes = {{1}}> {{
        [first] a = {loop.format("x")}
        [second] y = {loop.format("a")}
    }}"""
    monkeypatch.setattr(control_flow, "MAX_NODES", 30)
    nodes = resolved(tmp_path, text).node
    assert [node.name for node in nodes if node.op_type == "Loop"] == ["second"]


def test_rounds_share_the_constants_of_their_body(tmp_path: Path) -> None:
    text = """g (float[2] x) => (float[2] y) <int64 n = {10}, bool yes = {1}> {
        y = Loop (n, yes, x) <body =
            b (int64 i, bool c, float[2] v) => (bool d, float[2] w) <float[2] by = {1.5, 0.5}> {
                d = Identity (c)
                w = Mul (v, by)
            }>
    }"""
    graph = resolved(tmp_path, text)
    assert len(graph.node) > 10
    assert [tensor.name for tensor in graph.initializer if ".by" in tensor.name] == ["Loop#0:y.by"]


def test_a_loop_that_ends_early_collects_pieces_of_a_shape_that_nobody_wrote_down(
    tmp_path: Path,
) -> None:
    text = """g (float[2, 3] x) => (float[n, 2, 3] y) <bool yes = {1}> {
        last, y = Loop (, yes, x) <body =
            b (int64 i, bool c, float v) => (bool d, float w, float seen)
            <int64 one = {1}, int64 two = {2}> {
                next = Add (i, one)
                d = Less (next, two)
                w = Sin (v)
                seen = Cos (v)
            }>
    }"""
    source = parser.parse_model(HEADER + text)
    (loop,) = source.graph.node
    body = loop.attribute[0].g
    for value in (*body.output[1:], *body.input[2:]):
        value.type.tensor_type.ClearField("shape")
    model = prepared_model(tmp_path, source)
    assert "Loop" not in operators(model)


def test_a_branch_on_data_is_refused_by_name(tmp_path: Path) -> None:
    text = """g (float[4] x) => (float[4] y) {
        s = ReduceSum <keepdims = 0> (x)
        c = Cast <to = 9> (s)
        y = If (c) <then_branch = t () => (float[4] a) { a = Neg (x) },
                    else_branch = e () => (float[4] b) { b = Abs (x) }>
    }"""
    with pytest.raises(ModelRefused) as caught:
        prepared(tmp_path, text)
    assert caught.value.reason == "control-flow"


def test_halves_are_computed_in_float32_and_stay_halves_outside(tmp_path: Path) -> None:
    text = """g (float16[2, 8] x) => (float16[2, 3] y, float16[2, 8] z)
    <float16[8, 3] w = {1,2,3,4,5,6,7,8,9,8,7,6,5,4,3,2,1,2,3,4,5,6,7,8}> {
        y = MatMul (x, w)
        z = Relu (x)
    }"""
    model = prepared(tmp_path, text)
    types = {v.type.tensor_type.elem_type for v in model.graph.output}
    assert types == {TensorProto.FLOAT16}
    assert all(t.data_type == TensorProto.FLOAT for t in model.graph.initializer)


def test_what_a_model_rounds_to_half_stays_rounded(tmp_path: Path) -> None:
    text = """g (float[64] x) => (float[64] y) {
        h = Cast <to = 10> (x)
        y = Cast <to = 1> (h)
    }"""
    model = prepared(tmp_path, text)
    x = np.load(tmp_path / "out/check/inputs/x.npy")
    y = np.load(tmp_path / "out/check/expected/y.npy")
    np.testing.assert_array_equal(y, x.astype(np.float16).astype(np.float32))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], y)


def test_given_bfloat16_is_read_from_its_bits(tmp_path: Path) -> None:
    source, given, output = tmp_path / "m.onnx", tmp_path / "in.npz", tmp_path / "out"
    text = "g (bfloat16[4] x) => (float[4] y) { y = Cast <to = 1> (x) }"
    onnx.save(parser.parse_model(HEADER + text), source)
    x = np.asarray([1, 2.5, -3, 1e30], ml_dtypes.bfloat16)
    np.savez(given, x=x.view(np.uint16))
    output.mkdir()
    prepare(source, seed=0, given=given, output=output, log=lambda _: None)
    expected = np.load(output / "check/expected/y.npy")
    np.testing.assert_array_equal(expected, x.astype(np.float32))


def test_a_bfloat16_output_is_kept_as_its_bits(tmp_path: Path) -> None:
    source, output = tmp_path / "m.onnx", tmp_path / "out"
    text = "g (float[4] x) => (bfloat16[4] y) { y = Cast <to = 16> (x) }"
    onnx.save(parser.parse_model(HEADER + text), source)
    output.mkdir()
    prepare(source, seed=0, output=output, log=lambda _: None)
    x, expected = (np.load(output / f"check/{name}.npy") for name in ("inputs/x", "expected/y"))
    np.testing.assert_array_equal(expected, x.astype(ml_dtypes.bfloat16).view(np.uint16))


def test_nodes_of_one_name_are_told_apart_in_no_time(tmp_path: Path) -> None:
    text = """g (float[2] x) => (float[2] y) { y = Relu(x) }"""
    onnx.save(parser.parse_model(HEADER + text), tmp_path / "m.onnx")
    with WeightsWriter(tmp_path / "weights") as writer:
        graph = Graph.of(skeleton.read(tmp_path / "m.onnx", writer))
        before_s = time.process_time()
        names = [graph.fresh("n") for _ in range(30_000)]
        assert time.process_time() - before_s < 2
    assert len({*names}) == len(names)
    assert names[:3] == ["n", "n.2", "n.3"]
