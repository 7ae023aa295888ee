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
ROWS = [
    [1, NAN, 2, 3],
    [NAN, 1, 2, 3],
    [3, NAN, 2, 1],
    [1, 2, 3, NAN],
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
