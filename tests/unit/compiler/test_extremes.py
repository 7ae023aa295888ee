"""ArgMax, ArgMin and Hardmax of rows whose elements are not all finite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.unit.compiler.execution import errors

NAN, INF = np.nan, np.inf
ROWS: list[list[float]] = [
    [1, NAN, 2, 3],
    [NAN, 1, 2, 3],
    [3, NAN, 2, 1],
    [1, 3, 2, NAN],
    [NAN, NAN, NAN, NAN],
    [-INF, -INF, -INF, -INF],
    [INF, INF, INF, INF],
    [NAN, -INF, INF, 5],
    [-INF, NAN, -INF, -INF],
    [INF, 0, -INF, INF],
    [0, 0, 0, 0],
]


def odd(
    operator: str, axis: int, values: Sequence[Sequence[float]] = ROWS, **attributes: Any
) -> onnx.ModelProto:
    """Return a model of one operator on rows that it makes at run time."""
    rows = np.array(values, np.float32)
    rows = rows if axis in (1, -1) else np.ascontiguousarray(rows.T)
    kind = TensorProto.FLOAT if operator == "Hardmax" else TensorProto.INT64
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "zeros"], ["nothing"]),
            helper.make_node("Add", ["nothing", "rows"], ["odd"]),
            helper.make_node(operator, ["odd"], ["y"], axis=axis, **attributes),
        ],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, rows.shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [
            numpy_helper.from_array(rows, "rows"),
            numpy_helper.from_array(np.zeros_like(rows), "zeros"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("operator", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize(("axis", "keep"), [(1, 1), (0, 0), (-1, 0)])
def test_a_row_of_anything_has_the_place_that_onnx_runtime_gives(
    tmp_path: Path, operator: str, last: int, axis: int, keep: int
) -> None:
    # The last index is found by walking the row backwards: its first NaN would be another.
    values = [row for row in ROWS if not (last and np.isnan(row).any())]
    made = odd(operator, axis, values, keepdims=keep, select_last_index=last)
    assert errors(made, tmp_path, lanes=8)["outputs"] == [0.0]


@pytest.mark.parametrize("axis", [0, 1])
def test_hardmax_has_a_one_in_every_row(tmp_path: Path, axis: int) -> None:
    values = [row for row in ROWS if not np.isnan(row).any()]
    assert errors(odd("Hardmax", axis, values), tmp_path, lanes=8)["outputs"] == [0.0]


@pytest.mark.parametrize("operator", ["ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("axis", [0, 1])
def test_nan_stays_the_largest_and_the_smallest(tmp_path: Path, operator: str, axis: int) -> None:
    """ONNX Runtime keeps what stands first; of others it loses some."""
    made = reduced(
        operator, axis, [row for row in ROWS if np.isnan(row[0]) or not np.isnan(row).any()]
    )
    made.graph.node[-1].output[0] = "found"
    made.graph.node.append(helper.make_node("IsNaN", ["found"], ["odd_one"]))
    made.graph.node.append(helper.make_node("Cast", ["odd_one"], ["y"], to=TensorProto.FLOAT))
    assert errors(made, tmp_path, lanes=8)["outputs"] == [0.0]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("keep", [0, 1])
def test_the_log_of_a_sum_of_infinite_terms_is_infinite(
    tmp_path: Path, axis: int, keep: int
) -> None:
    """An output of infinities is compared as what tanh makes of it."""
    made = reduced("ReduceLogSumExp", axis, [[-INF, INF], [-INF, -INF], [INF, INF], [0, -INF]])
    made.graph.node[-1].attribute.append(helper.make_attribute("keepdims", keep))
    made.graph.node[-1].output[0] = "sum"
    made.graph.node.append(helper.make_node("Tanh", ["sum"], ["y"]))
    found = errors(made, tmp_path, lanes=8)
    assert found["nan_agrees"] == [True] and found["outputs"][0] < 1e-5


def reduced(operator: str, axis: int, values: Sequence[Sequence[float]]) -> onnx.ModelProto:
    """Return a model that reduces rows with axes as attributes."""
    made = odd("Hardmax", axis, values)
    made.graph.node[-1].CopyFrom(helper.make_node(operator, ["odd"], ["y"], axes=[axis]))
    return made


@pytest.mark.parametrize("scale", [0.0, 1.0, -3.0])
def test_zeros_are_quantised_with_the_scale_1(tmp_path: Path, scale: float) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "scale"], ["scaled"]),
            helper.make_node("DynamicQuantizeLinear", ["scaled"], ["y", "step", "zero"]),
            helper.make_node("Cast", ["y"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Cast", ["zero"], ["wide_zero"], to=TensorProto.FLOAT),
        ],
        "dynamic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 7])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in ("wide", "step", "wide_zero")
        ],
        [numpy_helper.from_array(np.array(scale, np.float32), "scale")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert max(errors(made, tmp_path, lanes=8)["outputs"]) < 1e-6
