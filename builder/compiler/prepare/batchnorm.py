"""Batch normalisation with constant statistics: a scale and a shift, most often in weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.prepare.skeleton import Skeleton


def fold_batchnorm(skeleton: Skeleton) -> None:
    """Fold BatchNormalization into the convolution before it, else write it as Mul and Add.

    Arithmetic is done in float64: the result is rounded once, to the weights' own type.
    """
    graph = skeleton.model.graph
    consumers = _consumer_counts(graph)
    producers = {output: node for node in graph.node for output in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        affine = _affine(skeleton, node) if node.op_type == "BatchNormalization" else None
        if affine is None:
            nodes.append(node)
            continue
        producer = producers.get(node.input[0])
        sole = producer is not None and consumers[node.input[0]] == 1
        if sole and _fold_into_conv(skeleton, producer, node, *affine):
            continue
        nodes.extend(_mul_add(skeleton, node, *affine))
    del graph.node[:]
    graph.node.extend(nodes)


Vector = npt.NDArray[np.float64]


def _consumer_counts(graph: onnx.GraphProto) -> dict[str, int]:
    counts: dict[str, int] = {output.name: 1 for output in graph.output}
    for node in graph.node:
        for name in node.input:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _affine(skeleton: Skeleton, node: onnx.NodeProto) -> tuple[Vector, Vector] | None:
    """Return scale and shift, each [channels], or None where the statistics are not constant."""
    values = [skeleton.value(name) for name in node.input[1:5]]
    if any(value is None for value in values) or len([name for name in node.output if name]) > 1:
        return None
    gamma, beta, mean, variance = (np.asarray(value, dtype=np.float64) for value in values)
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def _fold_into_conv(
    skeleton: Skeleton,
    conv: onnx.NodeProto | None,
    node: onnx.NodeProto,
    scale: Vector,
    shift: Vector,
) -> bool:
    """Rewrite ``conv`` so that it also normalises; False where it cannot."""
    weight = skeleton.value(conv.input[1]) if conv and conv.op_type == "Conv" else None
    if conv is None or weight is None:
        return False
    bias: Any = np.zeros(len(scale))
    if len(conv.input) > 2 and conv.input[2]:
        bias = skeleton.value(conv.input[2])
        if bias is None:
            return False
    scaled = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    stem = node.output[0]
    skeleton.set_value(f"{stem}.weight", scaled.astype(weight.dtype))
    skeleton.set_value(f"{stem}.bias", (bias * scale + shift).astype(weight.dtype))
    del conv.input[1:]
    conv.input.extend([f"{stem}.weight", f"{stem}.bias"])
    conv.output[0] = node.output[0]
    return True


def _mul_add(
    skeleton: Skeleton, node: onnx.NodeProto, scale: Vector, shift: Vector
) -> list[onnx.NodeProto]:
    data, out = node.input[0], node.output[0]
    dtype = skeleton.value(node.input[1]).dtype  # type: ignore[union-attr]
    rank = next(
        len(value.type.tensor_type.shape.dim)
        for value in (*skeleton.model.graph.value_info, *skeleton.model.graph.input)
        if value.name == data
    )
    shape = (-1, *[1] * (rank - 2))
    skeleton.set_value(f"{out}.scale", scale.astype(dtype).reshape(shape))
    skeleton.set_value(f"{out}.shift", shift.astype(dtype).reshape(shape))
    make = onnx.helper.make_node
    return [
        make("Mul", [data, f"{out}.scale"], [f"{out}.scaled"], name=f"{node.name}.scale"),
        make("Add", [f"{out}.scaled", f"{out}.shift"], [out], name=f"{node.name}.shift"),
    ]
