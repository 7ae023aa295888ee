"""Conversions of our own: kernels against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.unit.compiler.execution import errors

Array = npt.NDArray[Any]
RNG = np.random.default_rng(9)
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def floats(*shape: int) -> Array:
    return (RNG.standard_normal(shape) * 0.5).astype(np.float32)


def one_node(
    operator: str,
    *,
    x: Sequence[int],
    weights: dict[str, Array] | None = None,
    order: Sequence[str] = (),
    outputs: Sequence[int] = (FLOAT,),
    opset: int = 18,
    **attributes: Any,
) -> onnx.ModelProto:
    """Return a model of one node on input x and constants, in ``order``."""
    names = [f"y{number}" for number in range(len(outputs))]
    node = helper.make_node(operator, list(order) or ["x", *(weights or {})], names, **attributes)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", FLOAT, x)],
        [
            helper.make_tensor_value_info(name, kind, None)
            for name, kind in zip(names, outputs, strict=True)
        ],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def recurrent(kind: str, gates: int, directions: int = 1, **attributes: Any) -> onnx.ModelProto:
    """Return a layer of 5 units on 7 steps, a batch of 2 and 3 features."""
    weights = {
        "w": floats(directions, gates * 5, 3),
        "r": floats(directions, gates * 5, 5),
        "b": floats(directions, 2 * gates * 5),
    }
    states = 3 if kind == "LSTM" else 2
    return one_node(
        kind, x=[7, 2, 3], weights=weights, outputs=(FLOAT,) * states, hidden_size=5, **attributes
    )


LENGTHS = np.asarray([4, 7], np.int32)
BOXES = {
    "r": np.asarray([[1, 2, 9, 13], [0, 0, 17, 15], [-4, 3, 5, 30], [6, 6, 5, 5]], np.float32),
    "b": np.asarray([0, 1, 1, 0]),
}
CELLS: dict[str, Any] = {"output_height": 3, "output_width": 2, "spatial_scale": 0.5}
MODELS = {
    "running sum": one_node("CumSum", x=[3, 5], weights={"a": np.asarray(1)}, reverse=1),
    "running sum before": one_node("CumSum", x=[3, 5], weights={"a": np.asarray(0)}, exclusive=1),
    "largest": one_node(
        "TopK", x=[4, 9, 2], weights={"k": np.asarray([3])}, outputs=(FLOAT, INT64), axis=1
    ),
    "all, sorted": one_node(
        "TopK", x=[2, 9], weights={"k": np.asarray([9])}, outputs=(FLOAT, INT64), largest=0
    ),
    "maxima and where": one_node(
        "MaxPool",
        x=[1, 2, 6, 7],
        outputs=(FLOAT, INT64),
        kernel_shape=[3, 2],
        pads=[1, 0, 1, 1],
        strides=[2, 1],
    ),
    "response": one_node("LRN", x=[2, 6, 4, 5], size=3, alpha=0.5),
    "response over all": one_node("LRN", x=[1, 3, 4, 8], size=7, alpha=0.5, beta=0.5, bias=2.0),
    "determinant": one_node("Det", x=[3, 4, 4]),
    "columns to image": one_node(
        "Col2Im",
        x=[1, 2 * 4, 16],
        weights={"i": np.asarray([5, 5]), "k": np.asarray([2, 2])},
    ),
    "bent convolution": one_node(
        "DeformConv",
        x=[1, 4, 5, 6],
        weights={
            "w": floats(4, 2, 3, 3),
            "o": floats(1, 2 * 18, 5, 6),
            "b": floats(4),
            "m": floats(1, 18, 5, 6),
        },
        pads=[1, 1, 1, 1],
        group=2,
        offset_group=2,
        opset=19,
    ),
    "regions": one_node("RoiAlign", x=[2, 3, 8, 9], weights=BOXES, **CELLS),
    "regions from whole pixels, largest parts": one_node(
        "RoiAlign",
        x=[2, 3, 8, 9],
        weights=BOXES,
        **CELLS,
        mode="max",
        sampling_ratio=2,
        coordinate_transformation_mode="output_half_pixel",
    ),
    "reversed rows": one_node(
        "ReverseSequence",
        x=[7, 2, 3],
        weights={"l": LENGTHS.astype(np.int64)},
        time_axis=0,
        batch_axis=1,
    ),
    "rnn": recurrent("RNN", 1),
    "rnn with another activation": recurrent(
        "RNN", 1, activations=["Affine"], activation_alpha=[0.5], activation_beta=[0.1]
    ),
    "gru": recurrent("GRU", 3),
    "gru both ways, reset after": recurrent(
        "GRU", 3, 2, direction="bidirectional", linear_before_reset=1
    ),
    "lstm": recurrent("LSTM", 4),
    "lstm backwards, clipped": recurrent("LSTM", 4, direction="reverse", clip=0.3),
    "lstm both ways": recurrent("LSTM", 4, 2, direction="bidirectional"),
    "lstm of rows of different length": one_node(
        "LSTM",
        x=[7, 2, 3],
        weights={
            **{"w": floats(1, 20, 3), "r": floats(1, 20, 5), "b": floats(1, 40), "l": LENGTHS},
            **{"h": floats(1, 2, 5), "c": floats(1, 2, 5), "p": floats(1, 15)},
        },
        outputs=(FLOAT,) * 3,
        hidden_size=5,
    ),
}


@pytest.mark.parametrize("made", MODELS.values(), ids=list(MODELS))
def test_a_kernel_computes_what_onnx_runtime_does(tmp_path: Path, made: onnx.ModelProto) -> None:
    found = errors(made, tmp_path, lanes=8)
    assert max(found["outputs"]) < 1e-5
    assert all(found["nan_agrees"])
