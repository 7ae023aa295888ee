"""A subgraph copied into the graph around it, under names of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx

from builder.compiler.node_names import node_name, subgraphs


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """The nodes of a copied subgraph, and the names its outputs have there."""

    nodes: tuple[onnx.NodeProto, ...]
    outputs: tuple[str, ...]


def copied(
    graph: onnx.GraphProto,
    given: Mapping[str, str],
    *,
    name: str,
    fresh: Callable[[str], str],
) -> Copy:
    """Return the nodes of ``graph``, called after it, with fresh names for what they make.

    ``given`` says what its inputs and its initialisers are called outside.
    """
    names = dict(given)
    nodes = []
    for index, node in enumerate(graph.node):
        for output in node.output:
            if output:
                names[output] = fresh(f"{name}.{output}")
        copy = _renamed(node, names)
        copy.name = fresh(f"{name}.{node_name(index, node)}")
        nodes.append(copy)
    outputs = tuple(names.get(value.name, value.name) for value in graph.output)
    return Copy(nodes=tuple(nodes), outputs=outputs)


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    for _, inner in subgraphs(copy):
        _rename_captured(inner, names)
    return copy


def _rename_captured(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename what a nested graph takes from around it, not what it defines itself."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {output for node in graph.node for output in node.output}
    outer = {name: new for name, new in names.items() if name not in own}
    for node in graph.node:
        node.input[:] = [outer.get(name, name) for name in node.input]
        for _, inner in subgraphs(node):
            _rename_captured(inner, outer)
    for value in graph.output:
        value.name = outer.get(value.name, value.name)
