"""Weights of 8 bits of a float and of 4 or 2 bits: folded where constant, else refused by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.pipeline import prepare
from builder.compiler.weights import WeightsWriter, read_span, stored_bytes
from builder.errors import ModelRefused

RNG = np.random.default_rng(2)
ROWS, COLUMNS = 160, 130
"""Beyond what stays in the protobuf."""


@pytest.mark.parametrize("name", ["int4", "uint4", "int2", "uint2", "float4_e2m1fn", "int8"])
@pytest.mark.parametrize("count", [0, 1, 7, 8])
def test_elements_of_a_few_bits_are_stored_as_onnx_does(
    tmp_path: Path, name: str, count: int
) -> None:
    array = RNG.integers(0, 2, count).astype(np.dtype(name))
    tensor = numpy_helper.from_array(array)
    with WeightsWriter(tmp_path / "weights") as writer:
        span = writer.add(array)
        writer.flush()
        assert span.size_bytes == stored_bytes(array.shape, array.dtype) == len(tensor.raw_data)
        assert (tmp_path / "weights").read_bytes() == tensor.raw_data
        np.testing.assert_array_equal(read_span(writer.path, span), array)


def product(weight: npt.NDArray[Any], blocks: int = 0) -> onnx.ModelProto:
    """Return MatMul by a dequantised weight."""
    shape = [-(-ROWS // blocks), COLUMNS] if blocks else []
    scale = np.asarray(RNG.uniform(0.1, 1, shape), np.float32)
    dequantise = helper.make_node(
        "DequantizeLinear", ["w", "s"], ["f"], axis=0, block_size=blocks or None
    )
    graph = helper.make_graph(
        [dequantise, helper.make_node("MatMul", ["x", "f"], ["y"], name="product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, ROWS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, COLUMNS])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(scale, "s")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def prepared(folder: Path) -> onnx.ModelProto:
    (folder / "out").mkdir()
    prepare(folder / "m.onnx", seed=0, output=folder / "out", log=lambda _: None)
    return onnx.load(folder / "out/model.onnx")


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize(
    ("dtype", "blocks"),
    [(ml_dtypes.int4, 0), (ml_dtypes.uint4, 32), (ml_dtypes.float8_e4m3fn, 0), (np.int8, 32)],
)
def test_a_dequantised_weight_is_a_weight(
    tmp_path: Path, dtype: Any, blocks: int, external: bool
) -> None:
    weight = RNG.integers(0, 8, (ROWS, COLUMNS)).astype(dtype)
    onnx.save(product(weight, blocks), tmp_path / "m.onnx", save_as_external_data=external)
    made = prepared(tmp_path)
    assert [node.op_type for node in made.graph.node] == ["MatMul"]
    x, expected = (np.load(tmp_path / f"out/check/{n}.npy") for n in ("inputs/x", "expected/y"))
    folded = next(t for t in made.graph.initializer if t.name == made.graph.node[0].input[1])
    np.testing.assert_allclose(x @ numpy_helper.to_array(folded), expected, rtol=1e-4, atol=1e-4)


def test_what_is_computed_in_a_narrow_type_is_refused_by_node(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["n"], name="narrow", to=TensorProto.FLOAT8E4M3FN),
            helper.make_node("Cast", ["n"], ["y"], name="widen", to=TensorProto.FLOAT),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    )
    opsets = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "m.onnx")
    with pytest.raises(ModelRefused) as caught:
        prepared(tmp_path)
    assert caught.value.reason == "unsupported-type"
    assert [entry["node"] for entry in caught.value.details["nodes"]] == ["narrow", "widen"]
    assert "float8e4m3fn" in str(caught.value.why)
