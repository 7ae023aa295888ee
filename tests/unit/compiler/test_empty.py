"""Tensors without elements: constants, and parts that are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from builder.compiler.prepare.pipeline import prepare
from builder.model.binding import Binding

HEADER = '<ir_version: 8, opset_import: ["" : 18]>\n'


def operators(folder: Path, text: str, shape: tuple[int, ...]) -> list[str]:
    source, output = folder / "m.onnx", folder / "out"
    onnx.save(parser.parse_model(HEADER + text), source)
    output.mkdir()
    prepare(
        source, seed=0, output=output, log=lambda _: None, binding=Binding(shapes=(("x", shape),))
    )
    return [node.op_type for node in onnx.load(output / "model.onnx").graph.node]


@pytest.mark.parametrize(
    ("operator", "value"),
    [("ReduceSum", 0), ("ReduceProd", 1), ("ReduceMax", -np.inf), ("ReduceLogSum", -np.inf)],
)
def test_a_reduction_over_nothing_is_a_constant(
    tmp_path: Path, operator: str, value: float
) -> None:
    text = f"""g (float[n, 3] x) => (float[3] y) <int64[1] a = {{0}}> {{
        y = {operator} <keepdims = 0> (x, a)
    }}"""
    assert operators(tmp_path, text, (0, 3)) == []
    expected = np.load(tmp_path / "out/check/expected/y.npy")
    np.testing.assert_array_equal(expected, np.full(3, value, np.float32))


def test_empty_parts_are_neither_joined_nor_split_off(tmp_path: Path) -> None:
    text = """g (float[4, n] x) => (float[4, 2] y, float[4, 0] e)
    <int64[3] sizes = {0, 2, 3}> {
        e, a, b = Split <axis = 1> (x, sizes)
        c = Sin (a)
        y = Concat <axis = 1> (e, c)
    }"""
    assert sorted(operators(tmp_path, text, (4, 5))) == ["Concat", "Sin", "Split"]
