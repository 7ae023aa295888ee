"""Small ONNX models, made in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]


def model(
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape | None],
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """Return a checked model of one element type."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if None not in outputs.values():  # the checker wants ranks that inference finds later
        onnx.checker.check_model(made)
    return made


def conv_bn_relu(channels: int = 8) -> onnx.ModelProto:
    """Return Conv -> BatchNormalization -> Relu on [1, 3, 9, 7], seeded weights."""
    rng = np.random.default_rng(1)

    def values(*shape: int) -> npt.NDArray[np.float32]:
        return rng.standard_normal(shape).astype(np.float32)

    weights: dict[str, npt.NDArray[Any]] = {
        "w": values(channels, 3, 3, 3),
        "gamma": values(channels),
        "beta": values(channels),
        "mean": values(channels),
        "var": np.abs(values(channels)) + 0.1,
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["b"], name="norm"
        ),
        helper.make_node("Relu", ["b"], ["y"], name="relu"),
    ]
    return model(
        nodes, inputs={"x": [1, 3, 9, 7]}, outputs={"y": [1, channels, 9, 7]}, weights=weights
    )
