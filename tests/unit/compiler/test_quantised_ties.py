"""ONNX Runtime's own operators on 8-bit values give its bits, ties and negative sums included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper

from tests.unit.compiler.execution import results
from tests.unit.compiler.test_special_values import agree, model

Array = npt.NDArray[Any]


def parameters(dtype: type, seed: int) -> dict[str, Array]:
    """Return scales of two digits, which meet in ties often, and zero points off the middle."""
    rng = np.random.default_rng(seed)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    made: dict[str, Array] = {}
    for name in ("a", "b", "sum", "product", "mean", "leaky", "pool", "whole"):
        made[f"{name}_scale"] = np.asarray(rng.uniform(0.01, 0.1), np.float32).round(2)
        made[f"{name}_zero"] = np.asarray(rng.integers(low // 8, high // 3), dtype)
    made["sigmoid_scale"] = np.asarray(1 / 256, np.float32)
    made["sigmoid_zero"] = np.asarray(low, dtype)
    return made


def steps(name: str) -> list[str]:
    return [f"{name}_scale", f"{name}_zero"]


def node(operator: str, operands: list[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(
        operator, operands, [output], domain="com.microsoft", name=output, **attributes
    )


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("seed", [1, 2])
def test_results_are_equal(tmp_path: Path, dtype: type, seed: int) -> None:
    """Each pair of values, and what has windows on images of them."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    rng = np.random.default_rng(seed)
    pairs = np.stack(np.meshgrid(np.arange(low, high + 1), np.arange(low, high + 1)))
    shape = (1, 16, 64, 64)
    inputs = {"a": pairs[0].astype(dtype).reshape(shape), "b": pairs[1].astype(dtype)}
    inputs["b"] = inputs["b"].reshape(shape)
    inputs["image"] = rng.integers(low, high + 1, (1, 16, 20, 20)).astype(dtype)
    a, b, image = (["a", *steps("a")], ["b", *steps("b")], ["image", *steps("a")])
    nodes = [
        node("QLinearAdd", [*a, *b, *steps("sum")], "added"),
        node("QLinearMul", [*a, *b, *steps("product")], "multiplied"),
        node("QLinearLeakyRelu", [*a, *steps("leaky")], "leaked", alpha=0.1),
        node("QLinearSigmoid", [*a, *steps("sigmoid")], "squashed"),
        node("QLinearConcat", [*steps("whole"), *a, *b], "joined", axis=1),
        node("QLinearGlobalAveragePool", [*image, *steps("mean")], "meant", channels_last=0),
        node("QLinearAveragePool", [*image, *steps("pool")], "pooled", kernel_shape=[3, 3]),
    ]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    outputs = {one.output[0]: kind for one in nodes}
    made = model(nodes, inputs, outputs, parameters(dtype, seed), opset=17)
    agree(tmp_path, made, inputs)


def test_floats_are_quantised_to_even(tmp_path: Path) -> None:
    values = (np.arange(-700, 700) * 0.025).astype(np.float32)
    inputs = {"x": values, "far": np.asarray([1e30, -1e30, np.inf, -np.inf], np.float32)}
    constants: dict[str, Array] = {
        "scale": np.asarray(0.05, np.float32),
        "zero": np.asarray(3, np.int8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", [one, "scale", "zero"], [f"{one}_q"]) for one in inputs
    ]
    kinds = {f"{one}_q": helper.np_dtype_to_tensor_dtype(np.dtype(np.int8)) for one in inputs}
    made = model(nodes, inputs, kinds, constants)
    for found, expected in results(made, tmp_path, inputs):
        np.testing.assert_array_equal(found, expected)
