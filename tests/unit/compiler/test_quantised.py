"""Quantised networks: integer operators out of QDQ form, and how sure their reference is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.pipeline import prepare
from builder.compiler.prepare.tolerance import tolerance

RNG = np.random.default_rng(4)
F = np.float32


def qdq(operator: str) -> onnx.ModelProto:
    """Return quantise, dequantise, Conv or MatMul with a bias, quantise."""
    image = operator == "Conv"
    shape, weight = ([1, 3, 8, 8], (4, 3, 3, 3)) if image else ([5, 16], (16, 4))
    weights = {
        "xs": np.asarray(0.01, F),
        "xz": np.asarray(128, np.uint8),
        "w": RNG.integers(-128, 128, weight).astype(np.int8),
        "ws": np.asarray(0.02, F),
        "wz": np.asarray(0, np.int8),
        "b": RNG.integers(-500, 500, 4).astype(np.int32),
        "bs": np.asarray(0.0002, F),
        "bz": np.asarray(0, np.int32),
        "ys": np.asarray(0.05, F),
        "yz": np.asarray(100, np.uint8),
    }
    make = helper.make_node
    operands = ["xf", "wf", "bf"] if image else ["xf", "wf"]
    nodes = [
        make("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        make("DequantizeLinear", ["xq", "xs", "xz"], ["xf"]),
        make("DequantizeLinear", ["w", "ws", "wz"], ["wf"]),
        make("DequantizeLinear", ["b", "bs", "bz"], ["bf"]),
        make(operator, operands, ["yf"], name="it"),
        make("QuantizeLinear", ["yf", "ys", "yz"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("operator", ["Conv", "MatMul"])
def test_the_integers_are_those_of_integer_arithmetic(tmp_path: Path, operator: str) -> None:
    source, output = tmp_path / "m.onnx", tmp_path / "out"
    onnx.save(qdq(operator), source)
    output.mkdir()
    prepare(source, seed=0, output=output, log=lambda _: None)
    prepared = onnx.load(output / "model.onnx")
    operators = [node.op_type for node in prepared.graph.node]
    assert operators.count(operator) == 1 and "DequantizeLinear" not in operators
    x = np.load(output / "check/inputs/x.npy")
    (found,) = onnxruntime.InferenceSession(output / "model.onnx").run(None, {"x": x})
    np.testing.assert_array_equal(found, np.load(output / "check/expected/y.npy"))
    weight = next(t for t in prepared.graph.initializer if t.dims and t.data_type == 1)
    exact = numpy_helper.to_array(weight)
    np.testing.assert_array_equal(exact, np.round(exact))


def test_what_the_reference_itself_leaves_open_is_tolerated_twice() -> None:
    one, other = np.asarray([10, 20, 30], np.uint8), np.asarray([10, 21, 30], np.uint8)
    assert tolerance(one).absolute == tolerance(one, one).absolute == 0
    assert tolerance(one, other).absolute == 2
    floats = np.asarray([1.0, np.nan, np.inf], F)
    assert tolerance(floats, floats) == tolerance(floats)
    assert tolerance(floats, floats + F(0.5)).absolute == 1.0


@pytest.mark.parametrize(("bias", "kind"), [(10_000, "float"), (2**24 + 1, "double")])
def test_sums_with_their_bias_are_held_exactly(tmp_path: Path, bias: int, kind: str) -> None:
    weights = {
        **{"xs": np.asarray(0.01, F), "xz": np.asarray(0, np.uint8)},
        **{"w": np.ones((2, 3, 1, 1), np.int8), "ws": np.asarray(0.02, F)},
        **{"wz": np.asarray(0, np.int8), "ys": np.asarray(1e-4, F)},
        **{"yz": np.asarray(0, np.uint8), "b": np.asarray([bias, -bias], np.int32)},
    }
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    graph = helper.make_graph(
        [helper.make_node("QLinearConv", names, ["y"], name="it")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "m.onnx")
    (tmp_path / "out").mkdir()
    prepare(tmp_path / "m.onnx", seed=0, output=tmp_path / "out", log=lambda _: None)
    prepared = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "out/model.onnx"))
    (conv,) = [node for node in prepared.graph.node if node.op_type == "Conv"]
    types = {value.name: value.type.tensor_type.elem_type for value in prepared.graph.value_info}
    assert TensorProto.DataType.Name(types[conv.output[0]]).lower() == kind
