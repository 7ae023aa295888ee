"""Tensors without elements: what is computed from nothing, or is nothing, is a constant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from builder.compiler.node_names import node_name
from builder.compiler.prepare.rewriting import Graph, Site
from builder.compiler.prepare.skeleton import Skeleton

_OF_NOTHING: Mapping[str, float] = {
    "ReduceL1": 0,
    "ReduceL2": 0,
    "ReduceLogSum": -math.inf,
    "ReduceLogSumExp": -math.inf,
    "ReduceMax": -math.inf,
    "ReduceMin": math.inf,
    "ReduceProd": 1,
    "ReduceSum": 0,
    "ReduceSumSquare": 0,
}
"""Reduction -> its value over no elements, as ONNX states it; integers have bounds for infinity."""


def fold_empty(skeleton: Skeleton) -> None:
    """Make constants of empty values and of reductions over them; join without them."""
    graph = Graph.of(skeleton)
    kept: list[onnx.NodeProto] = []
    constants: dict[str, Any] = {}
    for index, node in enumerate(skeleton.model.graph.node):
        site = Site(graph=graph, node=node, name=node_name(index, node))
        folded = _folded(site)
        constants |= folded
        left = [name for name in node.output if name and name not in folded]
        if left:
            kept.append(_without_empty(site, folded))
    if len(kept) != len(skeleton.model.graph.node) or constants:
        del skeleton.model.graph.node[:]
        skeleton.model.graph.node.extend(kept)
        for name, value in constants.items():
            skeleton.add(name, value)


def _folded(site: Site) -> dict[str, Any]:
    """Return the outputs that are constants, with their values."""
    folded = {}
    for position, name in enumerate(site.node.output):
        extents = site.output_shape(position) if name else None
        if extents is None:
            continue
        if math.prod(extents) == 0:
            folded[name] = np.zeros(extents, site.output_dtype(position))
        elif site.node.op_type in _OF_NOTHING and math.prod(site.shape(0) or (1,)) == 0:
            folded[name] = _full(extents, site.output_dtype(0), _OF_NOTHING[site.node.op_type])
    return folded


def _full(extents: tuple[int, ...], dtype: np.dtype[Any], value: float) -> Any:
    if dtype.kind in "iu" and math.isinf(value):
        value = np.iinfo(dtype).min if value < 0 else np.iinfo(dtype).max
    return np.full(extents, value).astype(dtype)


def _without_empty(site: Site, folded: Mapping[str, Any]) -> onnx.NodeProto:
    """Return the node without the empty parts that it joins or splits off."""
    node = site.node
    if node.op_type == "Concat":
        full = [name for p, name in enumerate(node.input) if math.prod(site.shape(p) or (1,))]
        del node.input[:]
        node.input.extend(full)
    if node.op_type == "Split" and folded:
        sizes = [
            (site.output_shape(p) or ())[site.attribute("axis", 0)]
            for p, name in enumerate(node.output)
            if name not in folded
        ]
        kept = [name for name in node.output if name not in folded]
        split = site.graph.add(f"{site.name}.split", np.asarray(sizes, np.int64))
        del node.input[1:], node.output[:]
        node.input.append(split)
        node.output.extend(kept)
    return node
