"""Upsample and Resize as operator sets before 11 mean them, once they are written as Resize 11.

ONNX's converter leaves out the attributes that operator set 11 added, whose defaults are other
coordinates than before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from builder.compiler.node_names import subgraphs
from builder.compiler.prepare.new_names import NewNames
from builder.compiler.prepare.simplify import constant_value

EXPLICIT_SINCE = 11
"""The operator set in which Resize says how it finds its places."""

Scales = npt.NDArray[np.float32]


def resize_as_before(graph: onnx.GraphProto, opset: int, names: NewNames) -> None:
    """Give every Resize of a graph converted from ``opset``, however deep, its old meaning.

    Places are asymmetric. The nearest element is the one before, where an axis shrinks the one
    after: what ONNX Runtime does.
    """
    if opset >= EXPLICIT_SINCE:
        return
    known = dict(_constants(graph))
    made: list[onnx.NodeProto] = []
    for node in graph.node:
        for _, inner in subgraphs(node):
            resize_as_before(inner, opset, names)
        made += _resized(node, known, names) if node.op_type == "Resize" else [node]
    del graph.node[:]
    graph.node.extend(made)


def _constants(graph: onnx.GraphProto) -> Iterator[tuple[str, Scales]]:
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 1:
            yield tensor.name, numpy_helper.to_array(tensor)
    for node in graph.node:
        value = constant_value(node) if node.op_type == "Constant" else None
        if value is not None:
            yield node.output[0], value


def _resized(
    node: onnx.NodeProto, known: dict[str, Scales], names: NewNames
) -> list[onnx.NodeProto]:
    node.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
    if any(attribute.name == "mode" and attribute.s != b"nearest" for attribute in node.attribute):
        return [node]
    scales = known.get(node.input[2])
    if scales is not None and (scales >= 1).all():
        return [_rounding(node, "floor")]
    if scales is not None and (scales <= 1).all():
        return [_rounding(node, "ceil")]
    return list(_in_two(node, names))


def _rounding(node: onnx.NodeProto, nearest: str) -> onnx.NodeProto:
    node.attribute.append(helper.make_attribute("nearest_mode", nearest))
    return node


def _in_two(node: onnx.NodeProto, names: NewNames) -> Iterator[onnx.NodeProto]:
    """Yield what grows some axes and then shrinks the others: one node has one rounding."""
    data, roi, scales = node.input[:3]
    parts = ("one", "up", "down", "grown")
    made = {part: names.fresh(f"{node.output[0]}.{part}") for part in parts}
    one = numpy_helper.from_array(np.ones(1, np.float32))
    yield helper.make_node("Constant", [], [made["one"]], value=one)
    yield helper.make_node("Max", [scales, made["one"]], [made["up"]])
    yield helper.make_node("Min", [scales, made["one"]], [made["down"]])
    for part, nearest, source, to in (
        ("up", "floor", data, made["grown"]),
        ("down", "ceil", made["grown"], node.output[0]),
    ):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{node.name or node.output[0]}.{part}"
        copy.input[:] = [source, roi, made[part]]
        copy.output[:] = [to]
        yield _rounding(copy, nearest)
