"""From a library's exception to a refusal that names a node."""

from __future__ import annotations

import onnx

from builder.compiler.node_names import node_name
from builder.compiler.prepare.inference import inferred
from builder.compiler.refusals import is_static, refused, survey, value_types
from builder.errors import ModelRefused


def explained(model: onnx.ModelProto, error: Exception) -> ModelRefused:
    """Return why ``model`` cannot be simplified; ``error`` is all that the simplifier said."""
    if isinstance(error, MemoryError) or "bad_alloc" in str(error):
        return _too_large(model)
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as contradiction:
        return contradictory(contradiction)
    except Exception:  # the simplifier's own words are as good
        return _invalid(error)
    refusals = survey(inferred(model))
    return refused(refusals) if refusals else _invalid(error)


def contradictory(error: Exception) -> ModelRefused:
    """Return what shape inference found, which names the node."""
    return ModelRefused(
        "the model's shapes contradict each other",
        reason="invalid-graph",
        why=" ".join(str(error).split())[:300],
    )


def _too_large(model: onnx.ModelProto) -> ModelRefused:
    suspect = _first_unknown_constant(model)
    return ModelRefused(
        "folding the model's constants needs more memory than a model of its size may take",
        reason="too-large",
        why=f"as far as can be told at node {suspect!r}" if suspect else None,
    )


def _first_unknown_constant(model: onnx.ModelProto) -> str | None:
    """Return the first node that computes a constant whose size nothing tells."""
    graph = inferred(model).graph
    types = value_types(graph)
    constant = {tensor.name for tensor in graph.initializer} | {""}
    for index, node in enumerate(graph.node):
        if not constant.issuperset(node.input):
            continue
        constant.update(node.output)
        if not all(name in types and is_static(types[name]) for name in node.output if name):
            return node_name(index, node)
    return None


def _invalid(error: Exception) -> ModelRefused:
    lines = str(error).strip().splitlines()
    return ModelRefused(
        "the model does not pass simplification",
        reason="invalid-graph",
        why=lines[-1][:300] if lines else None,
    )
