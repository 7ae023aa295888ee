"""Models of the shapes that networks for images and for text are made of, seeded weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Output channels, kernel, stride, whether each channel is on its own: a stem, then what ResNets
# (3x3 by Winograd, 1x1) and MobileNets (1x1, depthwise) are made of, at 112 down to 7 columns.
_CONVOLUTIONS = (
    (32, 3, 2, False),
    (32, 3, 1, True),
    (64, 1, 1, False),
    (64, 3, 2, True),
    (64, 3, 1, False),
    (128, 3, 2, False),
    (128, 3, 1, False),
    (192, 1, 1, False),
    (192, 5, 1, True),
    (96, 1, 2, False),
    (160, 3, 2, False),
    (320, 1, 1, False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        values = np.random.default_rng(len(self.weights)).standard_normal(shape)
        scaled = (values / np.sqrt(np.prod(shape[1:]) + 1)).astype(np.float32)
        self.weights.append(numpy_helper.from_array(scaled, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def model(self, source: tuple[int, ...], result: str) -> onnx.ModelProto:
        ends = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
            for name, shape in (("x", source), (result, None))
        ]
        graph = helper.make_graph(self.nodes, "shapes", *ends, self.weights)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8)


def images() -> onnx.ModelProto:
    """Return a network of convolutions that ends in a classifier, for [1, 3, 224, 224]."""
    graph, last, channels = _Graph(), "x", 3
    for out, kernel, stride, apart in _CONVOLUTIONS:
        groups = channels if apart else 1
        weights = graph.weight(out, channels // groups, kernel, kernel), graph.weight(out)
        last = graph.add(
            "Conv", last, *weights, pads=[kernel // 2] * 4, strides=[stride] * 2, group=groups
        )
        last, channels = graph.add("Relu", last), out
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", last))
    result = graph.add("Gemm", pooled, graph.weight(channels, 1000), graph.weight(1000))
    return graph.model((1, 3, 224, 224), result)


def rows() -> onnx.ModelProto:
    """Return a layer of a transformer for [1, 64, 192]: attention of 3 heads, and two products."""
    graph, width, heads = _Graph(), 192, 3

    def product(of: str, depth: int, columns: int) -> str:
        return graph.add(
            "Add", graph.add("MatMul", of, graph.weight(depth, columns)), graph.weight(columns)
        )

    def split(of: str, order: list[int]) -> str:
        shape = numpy_helper.from_array(np.array([1, -1, heads, width // heads]), f"s{of}")
        graph.weights.append(shape)
        return graph.add("Transpose", graph.add("Reshape", of, shape.name), perm=order)

    query, key, value = (product("x", width, width) for _ in range(3))
    scores = graph.add("MatMul", split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1]))
    mixed = graph.add("MatMul", graph.add("Softmax", scores), split(value, [0, 2, 1, 3]))
    joined = numpy_helper.from_array(np.array([1, -1, width]), "joined")
    graph.weights.append(joined)
    rowwise = graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), "joined")
    wide = graph.add("Relu", product(rowwise, width, 4 * width))
    return graph.model((1, 64, width), product(wide, 4 * width, width))
