"""How many arithmetic operations a node stands for; a multiply and an add are two."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import onnx

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

_MOVES = frozenset(
    {
        *("Cast", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Dropout", "Expand"),
        *("EyeLike", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad"),
        *("Reshape", "ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth"),
        *("Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where"),
    }
)
"""Operators that only move, select or rename."""

_NORMALISATIONS = frozenset(
    {
        *("BatchNormalization", "GroupNormalization", "InstanceNormalization"),
        *("LayerNormalization", "LogSoftmax", "RMSNormalization", "Softmax"),
    }
)
_PER_NORMALISED_ELEMENT = 5


def flops(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Return the operations of one run of ``node``; values without a shape count nothing."""
    counted = _COUNTED.get(node.op_type)
    if counted is not None:
        return counted(node, shapes)
    if node.op_type in _MOVES:
        return 0
    if node.op_type in _NORMALISATIONS:
        return _PER_NORMALISED_ELEMENT * _elements(node.output, shapes)
    if node.op_type.startswith("Reduce") or node.op_type.startswith("Global"):
        return _elements(node.input[:1], shapes)
    return _elements(node.output, shapes)


def _elements(names: Sequence[str], shapes: Shapes) -> int:
    return sum(math.prod(shapes[name]) for name in names if name in shapes)


def _convolution(node: onnx.NodeProto, shapes: Shapes) -> int:
    weight = shapes.get(node.input[_weight_at(node)], ())
    out = _elements(node.output, shapes)
    return 2 * out * math.prod(weight[1:]) + (out if len(node.input) > 2 else 0)


def _weight_at(node: onnx.NodeProto) -> int:
    return 3 if node.op_type == "QLinearConv" else 1


def _transposed_convolution(node: onnx.NodeProto, shapes: Shapes) -> int:
    weight = shapes.get(node.input[1], ())
    return 2 * _elements(node.input[:1], shapes) * math.prod(weight[1:])


def _product(node: onnx.NodeProto, shapes: Shapes) -> int:
    left = shapes.get(node.input[0], (0,))
    return 2 * _elements(node.output, shapes) * (left[-1] if left else 1)


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    left = shapes.get(node.input[0], (0, 0))
    transposed = any(a.name == "transA" and a.i for a in node.attribute)
    out = _elements(node.output, shapes)
    return 2 * out * left[0 if transposed else -1] + (out if len(node.input) > 2 else 0)


def _pool(node: onnx.NodeProto, shapes: Shapes) -> int:
    kernel = next((a.ints for a in node.attribute if a.name == "kernel_shape"), ())
    return _elements(node.output[:1], shapes) * math.prod(kernel)


def _recurrent(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count the products with W [dirs, gates*hidden, input] and R [dirs, gates*hidden, hidden]."""
    data, weight, recurrence = (shapes.get(name, (0, 0, 0)) for name in node.input[:3])
    steps = math.prod(data[:2])
    return 2 * steps * (math.prod(weight) + math.prod(recurrence))


def _einsum(node: onnx.NodeProto, shapes: Shapes) -> int:
    equation = next((a.s.decode() for a in node.attribute if a.name == "equation"), "")
    extents: dict[str, int] = {}
    for term, name in zip(equation.split("->")[0].split(","), node.input, strict=False):
        extents |= dict(zip(term.strip(), shapes.get(name, ()), strict=False))
    return 2 * math.prod(extents.values())


def _attention(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Count both products for q [..., queries, width] and k [..., keys, width]."""
    query, key = (shapes.get(name, (0, 0)) for name in node.input[:2])
    return 4 * math.prod(query) * (key[-2] if len(key) > 1 else 1)


_COUNTED: dict[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Conv": _convolution,
    "ConvInteger": _convolution,
    "QLinearConv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "Gemm": _gemm,
    "AveragePool": _pool,
    "LpPool": _pool,
    "MaxPool": _pool,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Einsum": _einsum,
    "Attention": _attention,
}
