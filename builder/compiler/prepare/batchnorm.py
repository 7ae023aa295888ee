"""Batch normalisation with constant statistics: a scale and a shift, most often in weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.node_names import node_name
from builder.compiler.prepare.rewriting import Graph, Site
from builder.compiler.prepare.skeleton import Skeleton


def fold_batchnorm(skeleton: Skeleton) -> None:
    """Fold BatchNormalization into the convolution before it, else write it as Mul and Add.

    Arithmetic is done in float64: the result is rounded once, to the weights' own type.
    """
    graph, values = Graph.of(skeleton), skeleton.model.graph
    consumers = _consumer_counts(values)
    producers = {output: node for node in values.node for output in node.output}
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(values.node):
        site = Site(graph=graph, node=node, name=node_name(index, node))
        affine = _affine(site) if node.op_type == "BatchNormalization" else None
        if affine is None:
            nodes.append(node)
            continue
        producer = producers.get(node.input[0])
        sole = producer is not None and consumers[node.input[0]] == 1
        if sole and _fold_into_conv(graph, producer, node, *affine):
            continue
        nodes.extend(_mul_add(graph, node, *affine))
    del values.node[:]
    values.node.extend(nodes)


Vector = npt.NDArray[np.float64]


def _consumer_counts(graph: onnx.GraphProto) -> dict[str, int]:
    counts: dict[str, int] = {output.name: 1 for output in graph.output}
    for node in graph.node:
        for name in node.input:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _affine(site: Site) -> tuple[Vector, Vector] | None:
    """Return scale and shift, each [channels], or None where the statistics are not constant."""
    values = [site.value(position) for position in range(1, 5)]
    if any(value is None for value in values) or any(site.node.output[1:]):
        return None
    gamma, beta, mean, variance = (np.asarray(value, dtype=np.float64) for value in values)
    scale = gamma / np.sqrt(variance + site.attribute("epsilon", 1e-5))
    return scale, beta - mean * scale


def _fold_into_conv(
    graph: Graph,
    conv: onnx.NodeProto | None,
    node: onnx.NodeProto,
    scale: Vector,
    shift: Vector,
) -> bool:
    """Rewrite ``conv`` so that it also normalises; False where it cannot."""
    weight = graph.value(conv.input[1]) if conv and conv.op_type == "Conv" else None
    if conv is None or weight is None:
        return False
    bias: Any = np.zeros(len(scale))
    if len(conv.input) > 2 and conv.input[2]:
        bias = graph.value(conv.input[2])
        if bias is None:
            return False
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    stem = node.output[0]
    taken = [
        graph.add(f"{stem}.weight", scaled.astype(weight.dtype)),
        graph.add(f"{stem}.bias", (bias * scale + shift).astype(weight.dtype)),
    ]
    del conv.input[1:]
    conv.input.extend(taken)
    conv.output[0] = node.output[0]
    return True


def _mul_add(
    graph: Graph, node: onnx.NodeProto, scale: Vector, shift: Vector
) -> list[onnx.NodeProto]:
    data, out = node.input[0], node.output[0]
    kind = graph.types[data].tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(graph.types[node.input[1]].tensor_type.elem_type)
    shape = (-1, *[1] * (len(kind.shape.dim) - 2))
    by = graph.add(f"{out}.scale", scale.astype(dtype).reshape(shape))
    plus = graph.add(f"{out}.shift", shift.astype(dtype).reshape(shape))
    scaled = graph.fresh(f"{out}.scaled")
    make = onnx.helper.make_node
    return [
        make("Mul", [data, by], [scaled], name=f"{node.name}.scale"),
        make("Add", [scaled, plus], [out], name=f"{node.name}.shift"),
    ]
