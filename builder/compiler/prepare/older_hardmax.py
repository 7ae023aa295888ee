"""Hardmax as operator sets before 13 mean it: over all axes from one on, not over that one.

ONNX's converter writes Softmax and LogSoftmax anew, and leaves Hardmax as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper

from builder.compiler.node_names import subgraphs
from builder.compiler.prepare.new_names import NewNames

ONE_AXIS_SINCE = 13


def hardmax_as_before(graph: onnx.GraphProto, opset: int, names: NewNames) -> None:
    """Give every Hardmax of a graph converted from ``opset``, however deep, its old meaning."""
    if opset >= ONE_AXIS_SINCE:
        return
    made: list[onnx.NodeProto] = []
    for node in graph.node:
        for _, inner in subgraphs(node):
            hardmax_as_before(inner, opset, names)
        made += _flattened(node, names) if node.op_type == "Hardmax" else [node]
    del graph.node[:]
    graph.node.extend(made)


def _flattened(node: onnx.NodeProto, names: NewNames) -> Iterator[onnx.NodeProto]:
    data, result = node.input[0], node.output[0]
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    rows, ones, shape = (names.fresh(f"{result}.{part}") for part in ("rows", "ones", "shape"))
    yield helper.make_node("Flatten", [data], [rows], axis=axis)
    yield helper.make_node("Hardmax", [rows], [ones], name=node.name, axis=-1)
    yield helper.make_node("Shape", [data], [shape])
    yield helper.make_node("Reshape", [ones, shape], [result])
