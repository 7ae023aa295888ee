"""Small values that the model's constants and static shapes decide, computed node by node.

The simplifier folds more and faster, but it stumbles over branches; and branches are what these
values decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from builder.compiler.node_names import node_name, subgraphs
from builder.compiler.prepare import simplify
from builder.compiler.prepare.rewriting import Graph, Site
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.prepare.work import work

MAX_ELEMENTS = 4096
"""Of a value: shapes, indices and conditions are far smaller."""

MAX_WORK = 10_000_000
"""Of a node: the reference is slow, and a few elements can stand for many operations."""

_ROUNDS = 16
_RANDOM = ("Random", "Bernoulli", "Multinomial")


def fold_known(skeleton: Skeleton) -> None:
    """Make initialisers of what is decided, as long as that decides more."""
    for _ in range(_ROUNDS):
        simplify.constants_to_initialisers(skeleton)
        skeleton.model = onnx.shape_inference.infer_shapes(
            skeleton.model, data_prop=skeleton.follows_values
        )
        if not _fold_once(skeleton):
            return


def _fold_once(skeleton: Skeleton) -> bool:
    graph = Graph.of(skeleton)
    known: dict[str, Any] = {
        name: graph.value(name)
        for name, tensor in graph.constants.items()
        if math.prod(tensor.dims) <= MAX_ELEMENTS
    }
    found: dict[str, Any] = {}
    kept = []
    for index, node in enumerate(skeleton.model.graph.node):
        site = Site(graph=graph, node=node, name=node_name(index, node))
        values = _evaluated(site, known)
        if values is None:
            kept.append(node)
            continue
        results = dict(zip(node.output, values, strict=True))
        known |= results
        found |= results
    if found:
        del skeleton.model.graph.node[:]
        skeleton.model.graph.node.extend(kept)
        for name, value in found.items():
            skeleton.add(name, value)
    return bool(found)


def _evaluated(site: Site, known: dict[str, Any]) -> Sequence[Any] | None:
    """Return a node's outputs where they are decided and small."""
    node = site.node
    if node.op_type in ("Shape", "Size"):
        return _of_shape(site)
    if node.domain or node.op_type.startswith(_RANDOM) or any(subgraphs(node)):
        return None
    if any(name and name not in known for name in node.input):
        return None
    sizes = [site.output_shape(p) for p in range(len(node.output))]
    if node.op_type != "NonZero" and any(s is None or math.prod(s) > MAX_ELEMENTS for s in sizes):
        return None
    shapes = {name: np.shape(known[name]) for name in node.input if name}
    shapes |= {n: s for n, s in zip(node.output, sizes, strict=True) if s is not None}
    if work(node, shapes) > MAX_WORK:
        return None
    try:
        return _run(node, known, site.graph.opset)
    except Exception:  # the reference raises anything; the simplifier may still know better
        return None


def _of_shape(site: Site) -> Sequence[Any] | None:
    extents = site.shape(0)
    if extents is None:
        return None
    if site.node.op_type == "Size":
        return [np.asarray(math.prod(extents), np.int64)]
    part = slice(site.attribute("start"), site.attribute("end"))
    return [np.asarray(extents[part], np.int64)]


def _run(node: onnx.NodeProto, known: dict[str, Any], opset: int) -> Sequence[Any]:
    feed = {name: known[name] for name in node.input if name}
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in feed.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = helper.make_graph([node], "node", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    results = ReferenceEvaluator(model).run(None, feed)
    return [np.asarray(result) for result in results]
