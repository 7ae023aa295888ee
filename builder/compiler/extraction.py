"""A few nodes of a prepared model as a model of their own."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from builder.compiler.refusals import value_types


def extract(model: onnx.ModelProto, positions: Sequence[int]) -> onnx.ModelProto:
    """Return a model of the nodes at ``positions`` in the graph's list of nodes, in its order.

    What they take from outside becomes inputs; what they give to the outside, outputs. Weights
    stay as they are: external data lie where the model's do.
    """
    graph = model.graph
    types = value_types(graph)
    kept = [graph.node[at] for at in sorted(positions)]
    weights = {tensor.name: tensor for tensor in graph.initializer}
    made = [name for node in kept for name in node.output if name]
    taken = dict.fromkeys(name for node in kept for name in node.input if name)
    wanted = _wanted(graph, set(positions))
    part = onnx.helper.make_graph(
        kept,
        "extract",
        [_value(name, types) for name in taken if name not in weights and name not in made],
        [_value(name, types) for name in made if name in wanted],
        [weights[name] for name in taken if name in weights],
    )
    return onnx.helper.make_model(
        part, opset_imports=model.opset_import, ir_version=model.ir_version
    )


def _wanted(graph: onnx.GraphProto, positions: set[int]) -> set[str]:
    """Return the values that the graph or a node elsewhere uses."""
    others = (node for at, node in enumerate(graph.node) if at not in positions)
    used = {name for node in others for name in node.input}
    return used | {output.name for output in graph.output}


def _value(name: str, types: dict[str, onnx.TypeProto]) -> onnx.ValueInfoProto:
    value = onnx.ValueInfoProto(name=name)
    value.type.CopyFrom(types[name])
    return value
