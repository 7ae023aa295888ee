"""Quantised networks: integer operators out of QDQ form, and how sure their reference is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.cautions import cautions
from builder.compiler.prepare.check_data import Arrays, nudged
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.prepare.tolerance import tolerance

Array = npt.NDArray[Any]
RNG = np.random.default_rng(4)
F = np.float32


def qdq(
    operator: str, changed: Mapping[str, Array] | None = None, axis: int | None = None
) -> onnx.ModelProto:
    """Return quantise, dequantise, Conv or MatMul with a bias, quantise.

    ``changed`` are weights, scales and zero points in place of the usual ones; ``axis`` is what
    those of the weight run along.
    """
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
        **(changed or {}),
    }
    of_weight = {} if axis is None else {"axis": axis}
    make = helper.make_node
    operands = ["xf", "wf", "bf"] if image else ["xf", "wf"]
    nodes = [
        make("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        make("DequantizeLinear", ["xq", "xs", "xz"], ["xf"]),
        make("DequantizeLinear", ["w", "ws", "wz"], ["wf"], **of_weight),
        make("DequantizeLinear", ["b", "bs", "bz"], ["bf"], axis=0),
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


def prepared_folder(tmp_path: Path, made: onnx.ModelProto) -> Path:
    source, output = tmp_path / "m.onnx", tmp_path / "out"
    onnx.save(made, source)
    output.mkdir()
    prepare(source, seed=0, output=output, log=lambda _: None)
    return output


@pytest.mark.parametrize("operator", ["Conv", "MatMul"])
def test_the_integers_are_those_of_integer_arithmetic(tmp_path: Path, operator: str) -> None:
    output = prepared_folder(tmp_path, qdq(operator))
    prepared = onnx.load(output / "model.onnx")
    operators = [node.op_type for node in prepared.graph.node]
    assert operators.count(operator) == 1 and "DequantizeLinear" not in operators
    x = np.load(output / "check/inputs/x.npy")
    (found,) = onnxruntime.InferenceSession(output / "model.onnx").run(None, {"x": x})
    np.testing.assert_array_equal(found, np.load(output / "check/expected/y.npy"))
    weight = next(t for t in prepared.graph.initializer if t.dims and t.data_type == 1)
    exact = numpy_helper.to_array(weight)
    np.testing.assert_array_equal(exact, np.round(exact))


BY_FILTER = np.asarray([0.01, 0.02, 0.03, 0.04], F)
ZEROS = np.zeros(4, np.int8)
OWN_PARAMETERS: dict[str, tuple[dict[str, Array], int | None]] = {
    "a scale of the bias's own": ({"bs": np.asarray(0.0003, F)}, None),
    "a scale nearly the product": ({"bs": np.asarray(0.000205, F)}, None),
    "a zero point of the bias": ({"bz": np.asarray(9, np.int32)}, None),
    "one scale of the bias, many of the weight": ({"ws": BY_FILTER, "wz": ZEROS}, 0),
    "many scales of the bias, one of the weight": (
        {"bs": BY_FILTER / 100, "bz": np.zeros(4, np.int32)},
        None,
    ),
    "a bias of 8 bits": (
        {
            "b": RNG.integers(-128, 128, 4).astype(np.int8),
            "bs": np.asarray(0.02, F),
            "bz": np.asarray(3, np.int8),
        },
        None,
    ),
    "scales of the weight by input channel": (
        {"ws": BY_FILTER[:3], "wz": ZEROS[:3]},
        1,
    ),
}


@pytest.mark.parametrize("case", OWN_PARAMETERS)
def test_scales_and_zero_points_that_integer_operators_do_not_take_count(
    tmp_path: Path, case: str
) -> None:
    changed, axis = OWN_PARAMETERS[case]
    made = qdq("Conv", changed, axis)
    output = prepared_folder(tmp_path, made)
    x = np.load(output / "check/inputs/x.npy")
    options = onnxruntime.SessionOptions()
    # ONNX Runtime's optimiser would round the floats that weights have become once more.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(output / "model.onnx", options)
    (found,) = session.run(None, {"x": x})
    expected = onnxruntime.InferenceSession(made.SerializeToString(), options).run(None, {"x": x})[
        0
    ]
    differing = np.abs(found.astype(np.int32) - expected)
    assert differing.max() <= 1 and (differing > 0).mean() < 0.01  # rounded at a tie


def test_scales_by_filter_stay_integers(tmp_path: Path) -> None:
    changed: dict[str, Array] = {
        "ws": BY_FILTER,
        "wz": ZEROS,
        "bs": BY_FILTER / 100,
        "bz": np.zeros(4, np.int32),
    }
    output = prepared_folder(tmp_path, qdq("Conv", changed, axis=0))
    operators = [node.op_type for node in onnx.load(output / "model.onnx").graph.node]
    assert "DequantizeLinear" not in operators


def test_what_the_reference_itself_leaves_open_is_tolerated_twice() -> None:
    one, other = np.asarray([10, 20, 30], np.uint8), np.asarray([10, 21, 30], np.uint8)
    assert tolerance(one).absolute == tolerance(one, [one]).absolute == 0
    assert tolerance(one, [one, other]).absolute == 2
    floats = np.asarray([-10.0, 30.0, np.nan, np.inf], F)
    assert tolerance(floats, [floats]) == tolerance(floats)
    assert tolerance(floats, [floats + F(0.5)]).absolute == 1.0


def test_a_reference_that_is_not_sure_of_anything_widens_no_tolerance_without_end() -> None:
    steps, floats = np.arange(200, dtype=np.uint8), np.linspace(-10, 30, 5, dtype=F)
    assert tolerance(steps, [steps[::-1]]).absolute == pytest.approx(0.05 * 199)
    assert tolerance(steps[:3], [steps[3:6]]).absolute == 4
    assert tolerance(steps > 3, [steps < 3]).absolute < 1
    assert tolerance(floats, [floats[::-1]]).absolute == pytest.approx(2.0)
    (said,) = cautions("y", floats, [floats[::-1]])
    assert (said.reason, said.output) == ("reference-unstable", "y")
    assert not list(cautions("y", steps, [steps]))


def test_a_reference_without_numbers_is_said_to_prove_little() -> None:
    scores = np.asarray([1.0, 2.0, np.nan, -np.inf], F)
    (said,) = cautions("y", scores, [])
    assert said.reason == "not-finite" and "50%" in said.why and "--inputs" in said.why
    masked = np.where(np.arange(40) == 7, -np.inf, 1.0)
    assert not list(cautions("y", masked, []))


def test_a_nudge_keeps_shapes_and_types() -> None:
    inputs: Arrays = {
        "scale": np.asarray(2, F),
        "x": RNG.random((2, 3)).astype(F),
        "i": np.arange(3),
    }
    moved = nudged(inputs)
    for name, value in inputs.items():
        assert isinstance(moved[name], np.ndarray)
        assert (moved[name].shape, moved[name].dtype) == (value.shape, value.dtype)
        np.testing.assert_allclose(moved[name], value, rtol=0, atol=3e-6)
    assert (moved["x"] != inputs["x"]).all() and (moved["i"] == inputs["i"]).all()


def test_inputs_near_two_steps_show_what_a_rounding_may_change(tmp_path: Path) -> None:
    source, given, output = tmp_path / "m.onnx", tmp_path / "in.npz", tmp_path / "out"
    onnx.save(qdq("MatMul"), source)
    between = (RNG.integers(-100, 100, (5, 16)) + 0.5) * 0.01
    np.savez(given, x=between.astype(F))
    output.mkdir()
    prepare(source, given=given, seed=0, output=output, log=lambda _: None)
    slack = float((output / "check/tolerance.txt").read_text().split()[1])
    assert 0 < slack <= 0.05 * 255


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
