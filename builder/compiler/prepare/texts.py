"""Texts as indices: what a model only hands on, chooses from or compares need not be a text.

A text among constants becomes its place among the different ones; nodes that move elements move
indices. A kernel of a board then gives numbers, and the bundle says what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from builder.compiler.prepare.rewriting import Graph, Site, rewrite
from builder.compiler.prepare.skeleton import Skeleton

_MOVES = frozenset(
    {
        *("ArrayFeatureExtractor", "Expand", "Flatten", "Gather", "GatherElements", "GatherND"),
        *("Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
    }
)
"""Operators that give elements of their first input."""


def number(skeleton: Skeleton) -> None:
    """Make indices of texts that are constant, and of all that is made of such."""
    if not (_constants(skeleton) or skeleton.labels):
        return
    while True:
        graph = Graph.of(skeleton)
        for node in skeleton.model.graph.node:
            known = skeleton.labels.get(node.input[0]) if node.input else None
            if known is not None and node.op_type in _MOVES:
                graph.label(node.output[0], known)
        if not rewrite(skeleton, _TABLE):
            return


def _constants(skeleton: Skeleton) -> bool:
    """Number initialisers and Constant nodes."""
    graph = skeleton.model.graph
    kept = []
    for node in graph.node:
        tensor = _text_constant(node)
        if tensor is None:
            kept.append(node)
        else:
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
    if len(kept) != len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)
    found = [t for t in graph.initializer if t.data_type == TensorProto.STRING]
    for tensor in found:
        _number_constant(skeleton, tensor)
    return bool(found)


def _text_constant(node: onnx.NodeProto) -> TensorProto | None:
    for attribute in node.attribute if node.op_type == "Constant" else ():
        if attribute.name == "value" and attribute.t.data_type == TensorProto.STRING:
            return attribute.t
        if attribute.name == "value_string":
            return onnx.helper.make_tensor("", TensorProto.STRING, [], [attribute.s])
        if attribute.name == "value_strings":
            many = list(attribute.strings)
            return onnx.helper.make_tensor("", TensorProto.STRING, [len(many)], many)
    return None


def _number_constant(skeleton: Skeleton, tensor: TensorProto) -> None:
    every = [text.decode(errors="replace") for text in tensor.string_data]
    unique = {text: place for place, text in enumerate(dict.fromkeys(every))}
    places = np.asarray([unique[text] for text in every], np.int64).reshape(tuple(tensor.dims))
    skeleton.labels[tensor.name] = tuple(unique)
    tensor.CopyFrom(numpy_helper.from_array(places, tensor.name))


def _merged(first: int, merge: Callable[[Site, list[str]], None]) -> Callable[[Site], bool]:
    """Return a rewrite of a node whose inputs from ``first`` on are texts of different lists."""

    def take(site: Site) -> bool:
        names = site.node.input[first:]
        lists = [site.graph.skeleton.labels.get(name) for name in names]
        if any(known is None for known in lists):
            return False
        unique = {text: None for known in lists for text in known or ()}
        places = {text: place for place, text in enumerate(unique)}
        renumbered = [
            site.emit("Gather", np.asarray([places[text] for text in known or ()], np.int64), name)
            for known, name in zip(lists, names, strict=True)
        ]
        merge(site, renumbered)
        if first or site.node.op_type == "Concat":
            site.graph.label(site.node.output[0], tuple(unique))
        return True

    return take


def _again(site: Site, inputs: list[str]) -> None:
    site.again(
        [*site.node.input[: len(site.node.input) - len(inputs)], *inputs], to=site.node.output[0]
    )


_TABLE: Mapping[str, Callable[[Site], bool]] = {
    "Concat": _merged(0, _again),
    "Equal": _merged(0, _again),
    "Where": _merged(1, _again),
}
