"""Automatic padding, rounding up and output shapes: kernels against ONNX Runtime."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.unit.compiler.examples import Array
from tests.unit.compiler.execution import errors

RNG = np.random.default_rng(21)
OPSET = 19
"""The first in which AveragePool has dilations."""
AUTOMATIC = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")

Case = tuple[str, dict[str, Any], Array | None]


def all_in_one(cases: list[Case], *, shape: list[int]) -> onnx.ModelProto:
    """Return a model of every case on input x."""
    nodes, weights = [], []
    for number, (operator, attributes, weight) in enumerate(cases):
        inputs = ["x"]
        if weight is not None:
            weights.append(numpy_helper.from_array(weight, f"w{number}"))
            inputs.append(f"w{number}")
        nodes.append(helper.make_node(operator, inputs, [f"y{number}"], **attributes))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(f"y{number}", TensorProto.FLOAT, None)
            for number in range(len(cases))
        ],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def wrong(tmp_path: Path, cases: list[Case], shape: list[int]) -> list[Case]:
    found = errors(all_in_one(cases, shape=shape), tmp_path, lanes=8)["outputs"]
    return [case for case, error in zip(cases, found, strict=True) if not error < 1e-5]


def pools(operator: str) -> Iterator[Case]:
    """Yield all combinations on an image of 9 by 10 that ONNX and ONNX Runtime agree on."""
    counted = (0, 1) if operator == "AveragePool" else (0,)
    options = itertools.product(AUTOMATIC, (1, 2, 3), (1, 2), (0, 1), counted)
    for automatic, stride, dilation, ceil, count in options:
        if automatic.startswith("SAME") and dilation > 1:
            continue  # ONNX Runtime pads for the kernel without its dilations: another shape
        attributes = {
            "kernel_shape": [3, 2],
            "strides": [stride, stride],
            "dilations": [dilation, dilation],
            "ceil_mode": ceil,
        }
        if automatic == "NOTSET":
            attributes["pads"] = [1, 0, 0, 1]
        else:
            attributes["auto_pad"] = automatic
        if count:
            attributes["count_include_pad"] = 1
        if operator == "LpPool":
            attributes["p"] = 1 + stride % 2
        yield operator, attributes, None


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool", "LpPool"])
def test_pools_with_every_padding_stride_dilation_and_rounding(
    tmp_path: Path, operator: str
) -> None:
    assert wrong(tmp_path, list(pools(operator)), [1, 2, 9, 10]) == []


def convolutions() -> Iterator[Case]:
    for automatic, stride, kernel in itertools.product(AUTOMATIC[1:], (1, 2, 3), ((3, 2), (1, 1))):
        weight = RNG.standard_normal((2, 2, *kernel)).astype(np.float32)
        attributes = {"auto_pad": automatic, "strides": [stride, stride]}
        yield "Conv", attributes, weight


def transposed_convolutions() -> Iterator[Case]:
    for automatic, stride, kernel in itertools.product(AUTOMATIC, (1, 2), ((3, 2), (3, 3))):
        weight = RNG.standard_normal((2, 2, *kernel)).astype(np.float32)
        attributes: dict[str, Any] = {"auto_pad": automatic, "strides": [stride, stride]}
        yield "ConvTranspose", attributes, weight
        if automatic != "VALID":
            shape = [9 * stride + 1 - stride % 2, 10 * stride - 1]
            yield "ConvTranspose", attributes | {"output_shape": shape}, weight
    weight = RNG.standard_normal((2, 2, 3, 3)).astype(np.float32)
    larger = {"output_padding": [1, 0], "output_shape": [18, 20], "strides": [2, 2]}
    yield "ConvTranspose", larger, weight


@pytest.mark.slow
def test_convolutions_with_every_automatic_padding(tmp_path: Path) -> None:
    assert wrong(tmp_path, list(convolutions()), [1, 2, 9, 10]) == []


@pytest.mark.slow
def test_transposed_convolutions_with_automatic_padding_and_output_shapes(tmp_path: Path) -> None:
    assert wrong(tmp_path, list(transposed_convolutions()), [1, 2, 9, 10]) == []


@pytest.mark.parametrize("rank", [1, 3])
def test_windows_over_one_and_three_axes(tmp_path: Path, rank: int) -> None:
    window = {"kernel_shape": [3] * rank, "strides": [2] * rank}
    weight = RNG.standard_normal((2, 2, *[3] * rank)).astype(np.float32)
    lower = window | {"auto_pad": "SAME_LOWER"}
    cases: list[Case] = [
        *((operator, lower, None) for operator in ("MaxPool", "AveragePool", "LpPool")),
        ("AveragePool", window | {"ceil_mode": 1, "count_include_pad": 1}, None),
        ("Conv", lower, weight),
        ("ConvTranspose", lower, weight),
    ]
    assert wrong(tmp_path, cases, [1, 2, *(10, 8, 7)[:rank]]) == []
