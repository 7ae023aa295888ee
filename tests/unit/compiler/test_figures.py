"""What ``check`` counts: operations, parameters, the most that values take at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from builder.compiler.flops import flops
from builder.compiler.inspecting import figures
from builder.model.tensor import Signature
from tests.unit.compiler.models import model

node = helper.make_node


@pytest.mark.parametrize(
    ("made", "shapes", "count"),
    [
        (
            node("Conv", ["x", "w", "b"], ["y"]),
            {"x": (1, 3, 8, 8), "w": (16, 3, 3, 3), "b": (16,), "y": (1, 16, 8, 8)},
            2 * 1024 * 27 + 1024,
        ),
        (
            node("Conv", ["x", "w"], ["y"], group=4),
            {"x": (1, 4, 8, 8), "w": (4, 1, 3, 3), "y": (1, 4, 8, 8)},
            2 * 256 * 9,
        ),
        (node("MatMul", ["x", "w"], ["y"]), {"x": (2, 5, 7), "w": (7, 3), "y": (2, 5, 3)}, 420),
        (
            node("Gemm", ["x", "w", "b"], ["y"], transA=1),
            {"x": (7, 5), "w": (7, 3), "b": (3,), "y": (5, 3)},
            2 * 15 * 7 + 15,
        ),
        (
            node("LSTM", ["x", "w", "r"], ["y"]),
            {"x": (10, 2, 4), "w": (1, 32, 4), "r": (1, 32, 8), "y": (10, 1, 2, 8)},
            2 * 20 * (128 + 256),
        ),
        (
            node("Einsum", ["a", "b"], ["y"], equation="ij,jk->ik"),
            {"a": (2, 3), "b": (3, 4), "y": (2, 4)},
            2 * 24,
        ),
        (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2]), {"y": (1, 3, 4, 4)}, 192),
        (node("ReduceSum", ["x"], ["y"]), {"x": (4, 5), "y": (4,)}, 20),
        (node("Add", ["x", "z"], ["y"]), {"y": (4, 5)}, 20),
        (node("Reshape", ["x", "s"], ["y"]), {"y": (4, 5)}, 0),
        (node("Add", ["x", "z"], ["y"]), {}, 0),
    ],
)
def test_operations(made: onnx.NodeProto, shapes: dict[str, Any], count: int) -> None:
    assert flops(made, shapes) == count


def test_values_are_counted_while_they_live() -> None:
    made = model(
        [
            node("Relu", ["x"], ["a"]),
            node("Relu", ["a"], ["b"]),
            node("Concat", ["a", "b"], ["c"], axis=0),
            node("MatMul", ["c", "w"], ["y"]),
        ],
        inputs={"x": [2, 4]},
        outputs={"y": [4, 3]},
        weights={"w": np.ones((4, 3), np.float32)},
    )
    found = figures(onnx.shape_inference.infer_shapes(made), Signature(inputs=(), outputs=()))
    assert found.activations_bytes == 4 * (8 + 8 + 16)
    assert (found.parameters, found.weights_bytes) == (12, 48)
    assert found.flops == 8 + 8 + 2 * 12 * 4
    assert found.operators == (("Relu", 2), ("Concat", 1), ("MatMul", 1))
