"""A kernel that only lays a value out anew shows that value, not the result of who asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import tvm
from onnx import helper

from builder.compiler import codegen, importing, passes, provenance
from builder.model.target import Cpu
from tests.unit.compiler.execution import PLATFORM, VERSIONS, prepared_folder
from tests.unit.compiler.models import model

LANES = 8


def values(*shape: int) -> npt.NDArray[Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def nodes_by_kernel(made: onnx.ModelProto, folder: Path) -> dict[str, set[str]]:
    """Return the outputs of the ONNX nodes that each kernel is said to compute."""
    prepared = prepared_folder(made, folder)
    cpu = Cpu(mcpu=VERSIONS[LANES], mattr=(), cores=1, features=())
    target = codegen.llvm_target(PLATFORM, cpu)
    facts = passes.Facts(platform=PLATFORM, cpu=cpu, targets=(target,), log=lambda _: None)
    graph = importing.read_prepared(prepared)
    mod = passes.run(importing.import_model(graph, prepared), facts)
    outputs = [node.output[0] for node in graph.graph.node]
    return {
        binding.value.args[0].name_hint: {outputs[i] for i in provenance.nodes_of(binding.var)}
        for binding in provenance.bindings(mod["main"])
        if getattr(binding.value, "op", None) == tvm.ir.Op.get("relax.call_tir")
    }


def test_rows_in_blocks_are_no_result_of_the_convolution_that_reads_them(tmp_path: Path) -> None:
    channels = 32
    shapes = {"image": np.array([1, channels, 6, 8]), "flat": np.array([1, channels, 48])}
    made = model(
        [
            helper.make_node("MatMul", ["x", "m"], ["rows"]),
            helper.make_node("Transpose", ["rows"], ["t"], perm=[0, 2, 1]),
            helper.make_node("Reshape", ["t", "image"], ["i"]),
            helper.make_node("Conv", ["i", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Reshape", ["r", "flat"], ["y"]),
        ],
        inputs={"x": [1, 48, 16]},
        outputs={"y": None},
        weights={"m": values(16, channels), "w": values(channels, channels, 3, 3), **shapes},
    )
    kernels = nodes_by_kernel(made, tmp_path)
    (moved,) = (nodes for kernel, nodes in kernels.items() if "rows_to_blocks" in kernel)
    assert "c" not in moved
    assert moved & {"t", "i"}
    assert any({"c", "r"} <= nodes for nodes in kernels.values())


@pytest.mark.parametrize("first", ["x", "e"])
def test_an_image_in_blocks_is_its_makers_or_nobodys(tmp_path: Path, first: str) -> None:
    """The model's input is nobody's; what a node made stays that node's."""
    made = model(
        [
            helper.make_node("Erf", ["x"], ["e"]),
            helper.make_node("Conv", [first, "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Conv", ["r", "w"], ["d"], pads=[1, 1, 1, 1]),
            helper.make_node("Add", ["d", "e"], ["y"]),
        ],
        inputs={"x": [1, 16, 8, 8]},
        outputs={"y": [1, 16, 8, 8]},
        weights={"w": values(16, 16, 3, 3)},
    )
    kernels = nodes_by_kernel(made, tmp_path)
    moves = {k: nodes for k, nodes in kernels.items() if k.startswith(("block", "fused_erf_block"))}
    assert moves
    assert all(nodes <= {"e"} for nodes in moves.values())
