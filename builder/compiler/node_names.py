"""What people call a node, wherever in a model it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

MAX_DEPTH = 64
"""Of graphs within graphs; protobuf itself stops at 100 messages, some two a graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A node with its name and the subgraphs around it (``loop.body``), the outermost first."""

    node: onnx.NodeProto
    name: str
    path: tuple[str, ...]


def node_name(index: int, node: onnx.NodeProto) -> str:
    """Return what a person would call a node: its name, or its operator and first output."""
    return node.name or f"{node.op_type}#{index}:{node.output[0] if node.output else ''}"


def nodes(
    graph: onnx.GraphProto | onnx.FunctionProto, path: tuple[str, ...] = ()
) -> Iterator[Placed]:
    """Yield the nodes of ``graph`` in order, those of a subgraph right after its own node."""
    for index, node in enumerate(graph.node):
        name = node_name(index, node)
        yield Placed(node=node, name=name, path=path)
        for attribute, subgraph in subgraphs(node):
            yield from nodes(subgraph, (*path, f"{name}.{attribute}"))


def subgraphs(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """Yield the graphs that are attributes of a node, by the attribute's name."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.name, attribute.g
        for position, graph in enumerate(attribute.graphs):
            yield f"{attribute.name}[{position}]", graph
