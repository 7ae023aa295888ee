"""Chains of activations are cut where an expression would not end; others are left whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.unit.compiler.execution import errors

FLOAT = TensorProto.FLOAT
CHAIN = ("HardSwish", "Softplus", "Selu", "Celu", "Mish", "Softsign", "Elu", "Relu", "Tanh")


def model(nodes: list[onnx.NodeProto], shape: list[int]) -> onnx.ModelProto:
    weight = np.random.default_rng(2).standard_normal((16, 16, 3, 3)).astype(np.float32) * 0.1
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("v0", FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_long_chains_are_cut(tmp_path: Path) -> None:
    """Each of these reads its operand up to four times: whole, it would be read 10^7 times."""
    names = [*CHAIN, *CHAIN, *CHAIN]
    nodes = [
        helper.make_node(name, [f"v{place}"], [f"v{place + 1}"]) for place, name in enumerate(names)
    ]
    found = errors(model(nodes, [2, 48]), tmp_path, lanes=8)
    assert any("_apart" in kernel for kernel in found["kernels"])
    assert max(found["outputs"]) < 2e-5


def test_residual_blocks_are_left_whole(tmp_path: Path) -> None:
    """What a convolution reads is stored, however often it is added to."""
    nodes = []
    for place in range(9):
        one, sum_ = f"c{place}", f"s{place}"
        nodes += [
            helper.make_node("Conv", [f"v{place}", "w"], [one], pads=[1] * 4),
            helper.make_node("Add", [f"v{place}", one], [sum_]),
            helper.make_node("Relu", [sum_], [f"v{place + 1}"]),
        ]
    found = errors(model(nodes, [1, 16, 8, 8]), tmp_path, lanes=8)
    assert not any("_apart" in kernel for kernel in found["kernels"])
    assert max(found["outputs"]) < 2e-5
