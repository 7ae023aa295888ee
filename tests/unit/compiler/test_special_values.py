"""NaN, infinities and numbers that do not fit come out as ONNX Runtime has them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from builder.compiler import importing, lowering, pipeline
from builder.compiler.signature import read_signature
from builder.compiler.weights import WeightsWriter
from builder.errors import ModelRefused
from builder.model.target import Cpu
from tests.unit.compiler.execution import PLATFORM, VERSIONS, prepared_folder, results

Array = npt.NDArray[Any]
FLOAT = TensorProto.FLOAT
RNG = np.random.default_rng(5)
make = helper.make_node


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Array],
    outputs: Mapping[str, int],
    constants: Mapping[str, Array] | None = None,
    opset: int = 20,
) -> onnx.ModelProto:
    """Return a model of ``nodes`` on inputs like ``inputs``, with outputs of the types given."""

    def value(name: str, like: Array) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(like.dtype), like.shape
        )

    graph = helper.make_graph(
        nodes,
        "special",
        [value(name, like) for name, like in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def agree(
    folder: Path, made: onnx.ModelProto, inputs: Mapping[str, Array], *, relative: float = 0.0
) -> None:
    """Compile and run ``made`` here and in ONNX Runtime; the results must be equal."""
    for found, expected in results(made, folder, inputs):
        np.testing.assert_allclose(
            found, expected, rtol=relative, atol=relative, equal_nan=True, strict=True
        )


def special(*shape: int, every: int = 5) -> Array:
    """Return random numbers, every so manieth NaN, infinite, a zero, or near one of exp's ends."""
    x = (RNG.standard_normal(shape) * 3).astype(np.float32)
    odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 88.7, 100, -100, -88, 1e30]
    flat = x.reshape(-1)
    places = np.arange(0, flat.size, every)
    flat[places] = np.resize(np.asarray(odd, np.float32), places.size)
    return x


ACTIVATIONS = (
    "Relu",
    "Elu",
    "Selu",
    "Celu",
    "Sign",
    "Softplus",
    "Mish",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "ThresholdedRelu",
    "LeakyRelu",
    "Sigmoid",
    "Tanh",
    "Exp",
    "Erf",
    "Abs",
    "Round",
    "Ceil",
    "Floor",
    "Log",
    "Sqrt",
)


@pytest.mark.parametrize("lanes", [4, 8])
def test_activations(tmp_path: Path, lanes: int) -> None:
    """All of them in one model, on rows that divide into vectors and rows that do not."""
    inputs = {"x": special(4, 64), "t": special(3, 35)}
    nodes = [make(one, [x], [f"{one}_{x}"]) for one in ACTIVATIONS for x in inputs]
    outputs = {node.output[0]: FLOAT for node in nodes}
    made = model(nodes, inputs, outputs)
    for found, expected in results(made, tmp_path, inputs, lanes=lanes):
        np.testing.assert_allclose(found, expected, rtol=4e-6, atol=2e-6, equal_nan=True)


def test_max_and_min_are_nan_where_one_is(tmp_path: Path) -> None:
    inputs = {"a": special(4, 35, every=3), "b": special(35, every=4), "c": special(4, 1, every=3)}
    nodes = [
        make("Max", ["a", "b", "c"], ["most"]),
        make("Min", ["a", "b", "c"], ["least"]),
        make("Max", ["a", "zero"], ["positive"]),
        make("Min", ["six", "positive"], ["bounded"]),
    ]
    outputs = dict.fromkeys(("most", "least", "positive", "bounded"), FLOAT)
    constants = {"zero": np.asarray(0, np.float32), "six": np.asarray(6, np.float32)}
    agree(tmp_path, model(nodes, inputs, outputs, constants), inputs)


def test_clip_with_bounds_left_out_known_and_computed(tmp_path: Path) -> None:
    """What is left out is the largest finite number, as in ONNX Runtime."""
    inputs = {"x": special(4, 35), "v": np.asarray([3, -1, 2], np.float32)}
    nodes = [
        make("ReduceMin", ["v"], ["least"], keepdims=0),
        make("Clip", ["x", "low"], ["raised"]),
        make("Clip", ["x", "", "high"], ["lowered"]),
        make("Clip", ["x", "low", "high"], ["both"]),
        make("Clip", ["x", "least", "nan"], ["computed"]),
        make("Clip", ["x", "high", "low"], ["crossed"]),
    ]
    outputs = dict.fromkeys(("raised", "lowered", "both", "computed", "crossed"), FLOAT)
    constants = {
        "low": np.asarray(-1, np.float32),
        "high": np.asarray(2, np.float32),
        "nan": np.asarray(np.nan, np.float32),
    }
    agree(tmp_path, model(nodes, inputs, outputs, constants), inputs)


def test_clip_of_whole_numbers_keeps_all_their_digits(tmp_path: Path) -> None:
    inputs = {"x": np.asarray([0, 2**62 + 1, -(2**62) - 1, 5])}
    nodes = [make("Clip", ["x", "low", "high"], ["y"]), make("Clip", ["x", "low"], ["z"])]
    constants = {"low": np.asarray(-(2**62) + 1), "high": np.asarray(2**62 - 1)}
    outputs = {"y": TensorProto.INT64, "z": TensorProto.INT64}
    agree(tmp_path, model(nodes, inputs, outputs, constants), inputs)


@pytest.mark.parametrize("tail", ["Relu", "Elu", "HardSwish", "Clip"])
def test_what_is_fused_into_products_keeps_nan(tmp_path: Path, tail: str) -> None:
    """Pointwise, 3x3 (by Winograd's method), depthwise convolutions and a product of matrices."""
    inputs = {"x": special(1, 16, 12, 12, every=200), "m": special(20, 16, every=90)}
    weights = {
        "point": RNG.standard_normal((16, 16, 1, 1)).astype(np.float32),
        "nine": RNG.standard_normal((16, 16, 3, 3)).astype(np.float32),
        "deep": RNG.standard_normal((16, 1, 3, 3)).astype(np.float32),
        "matrix": RNG.standard_normal((16, 32)).astype(np.float32),
        "low": np.asarray(0, np.float32),
        "high": np.asarray(6, np.float32),
    }
    bounds = ["low", "high"] if tail == "Clip" else []
    nodes = [
        make("Conv", ["x", "point"], ["a"]),
        make("Conv", ["x", "nine"], ["b"], pads=[1] * 4),
        make("Conv", ["x", "deep"], ["c"], pads=[1] * 4, group=16),
        make("MatMul", ["m", "matrix"], ["d"]),
        *(make(tail, [one, *bounds], [f"{one}_out"]) for one in "abcd"),
    ]
    outputs = {f"{one}_out": FLOAT for one in "abcd"}
    made = model(nodes, inputs, outputs, weights)
    agree(tmp_path, made, inputs, relative=1e-4)


UNFIT = [
    *(np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -3e9, 2.0**31, -(2.0**31), -(2.0**31) - 256),
    *(2.0**32, 5e9, 9.3e18, -9.3e18, 1.8446744e19, 2e19, 300.7, -300.7, 255.5, -1.5, -0.7, 0.7),
    *(65536.5, 70000, -70000, 128, -129, 40000),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_casts_of_what_does_not_fit(tmp_path: Path, dtype: type) -> None:
    inputs: dict[str, Array] = {"x": np.asarray(UNFIT, dtype)}
    kinds = ("INT8", "UINT8", "INT16", "UINT16", "INT32", "INT64", "UINT64", "BOOL")
    types = {name: getattr(TensorProto, name) for name in kinds}
    nodes = [make("Cast", ["x"], [name], to=kind) for name, kind in types.items()]
    agree(tmp_path, model(nodes, inputs, types), inputs)


def test_recurrent_relu_makes_nan_zero(tmp_path: Path) -> None:
    """Unlike the operator Relu, in ONNX Runtime."""
    x = RNG.standard_normal((3, 2, 4)).astype(np.float32)
    x[1, 0, 0] = np.nan
    weights = {
        "w": RNG.standard_normal((1, 5, 4)).astype(np.float32),
        "r": RNG.standard_normal((1, 5, 5)).astype(np.float32),
    }
    node = make("RNN", ["x", "w", "r"], ["y"], hidden_size=5, activations=["Relu"])
    agree(tmp_path, model([node], {"x": x}, {"y": FLOAT}, weights), {"x": x}, relative=1e-5)


WHOLE: dict[str, Array] = {
    "i32": RNG.integers(-100, 100, (3, 8, 5)).astype(np.int32),
    "i64": RNG.integers(-100, 100, (3, 8, 5)),
}


def test_integers_are_reduced_towards_zero(tmp_path: Path) -> None:
    """A mean once wrote twice the bytes that its output has."""
    constants = {"inner": np.asarray([1]), "outer": np.asarray([0, -1])}
    kinds = ("Max", "Min", "Sum", "Mean", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
    nodes, outputs = [], {}
    for kind, data, axes in itertools.product(kinds, WHOLE, ("inner", "outer", "")):
        name = f"{kind}_{data}_{axes}"
        keepdims = int(axes == "inner")
        inputs = [data, axes] if axes else [data]
        nodes.append(make(f"Reduce{kind}", inputs, [name], keepdims=keepdims))
        outputs[name] = helper.np_dtype_to_tensor_dtype(WHOLE[data].dtype)
    agree(tmp_path, model(nodes, WHOLE, outputs, constants), WHOLE)


def test_mean_of_integers_with_axes_as_attribute(tmp_path: Path) -> None:
    inputs: dict[str, Array] = {"i32": WHOLE["i32"]}
    node = make("ReduceMean", ["i32"], ["y"], axes=[-1, 0])
    agree(tmp_path, model([node], inputs, {"y": TensorProto.INT32}, opset=13), inputs)


BASES = [2, -3, 0, 7, 5, -2, 10, 1, 3, 46341, 0, -1, 2**31 - 1, 1000003, 4]
EXPONENTS = [3, 3, 0, 2, -1, -3, 9, -5, 40, 2, -1, -3, 2, 3, 31]


@pytest.mark.parametrize("base", ["int32", "int64", "float32", "float64"])
def test_powers_of_all_types(tmp_path: Path, base: str) -> None:
    """By 2 and 3 integers are multiplied out: 1000003 cubed has more digits than a float64."""
    inputs: dict[str, Array] = {"x": np.asarray(BASES, base)}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(base))
    nodes, constants = [], {}
    for dtype in ("int32", "int64", "float32", "float64"):
        inputs[dtype] = np.asarray(EXPONENTS, dtype)
        nodes.append(make("Pow", ["x", dtype], [f"y_{dtype}"]))
        for exponent in (0, 1, 2, 3, 5):
            name = f"{dtype}_{exponent}"
            constants[name] = np.asarray(exponent, dtype)
            nodes.append(make("Pow", ["x", name], [f"y_{name}"]))
    outputs = {node.output[0]: kind for node in nodes}
    agree(tmp_path, model(nodes, inputs, outputs, constants), inputs, relative=1e-6)


def test_kernels_that_write_other_types_than_the_model_says_are_refused(tmp_path: Path) -> None:
    """What would run past the caller's buffer never becomes a plan."""
    prepared = prepared_folder(
        model([make("Relu", ["x"], ["y"])], {"x": special(3, 4)}, {"y": FLOAT}), tmp_path
    )
    cpu = Cpu(mcpu=VERSIONS[8], mattr=(), cores=1, features=())
    facts = pipeline.facts_of(PLATFORM, cpu, lambda _: None)
    mod = pipeline.optimised(importing.read_prepared(prepared), prepared, facts)
    signature = read_signature(prepared)
    (output,) = signature.outputs
    narrow = replace(signature, outputs=(replace(output, dtype="float16"),))
    with WeightsWriter(tmp_path / "weights.bin") as weights:
        lowering.lower(mod, signature, ["relu"], weights)
        with pytest.raises(ModelRefused) as caught:
            lowering.lower(mod, narrow, ["relu"], weights)
    assert caught.value.reason == "converted-otherwise"


def test_halves_overflow_where_onnx_runtime_rounds_to_them(tmp_path: Path) -> None:
    """At outputs, at IsInf, at Cast to integers; Clip ends at 65504; between, nothing is lost."""
    numbers = [1, 300, 1000, -300, 60000, -60000, 65504, np.inf, -np.inf, np.nan, 12, 6e-8, 0.1]
    inputs: dict[str, Array] = {"x": np.asarray(numbers, np.float16)}
    half = TensorProto.FLOAT16
    nodes = [
        make("Mul", ["x", "x"], ["square"]),
        make("Mul", ["square", "tenth"], ["back"]),
        make("Exp", ["x"], ["exp"]),
        make("Add", ["x", "x"], ["double"]),
        make("IsInf", ["square"], ["infinite"]),
        make("Cast", ["square"], ["whole"], to=TensorProto.INT32),
        make("Clip", ["x", "low"], ["raised"]),
        make("Clip", ["double", "", "low"], ["lowered"]),
    ]
    outputs = dict.fromkeys(("back", "exp", "double", "raised", "lowered"), half)
    outputs |= {"infinite": TensorProto.BOOL, "whole": TensorProto.INT32}
    constants = {"tenth": np.asarray(0.1, np.float16), "low": np.asarray(-1, np.float16)}
    made = model(nodes, inputs, outputs, constants)
    for found, expected in results(made, tmp_path, inputs):
        np.testing.assert_allclose(found, expected, rtol=1e-3, equal_nan=True)
