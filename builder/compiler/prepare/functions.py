"""ONNX functions written out: those of the model, and standard operators that are defined so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
import onnx.inliner

from builder.compiler.node_names import subgraphs
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.prepare.wellformed import require_wellformed
from builder.compiler.refusals import value_types

EXPANDED = frozenset(
    {
        *("Attention", "Celu", "CenterCropPad", "GroupNormalization"),
        *("MeanVarianceNormalization", "NegativeLogLikelihoodLoss", "RotaryEmbedding"),
        *("SoftmaxCrossEntropyLoss", "SwiGLU", "Swish"),
    }
)
"""Standard operators that nothing after this pass knows, by their definition in ONNX."""

_DOMAIN = "boardwright.definitions"


def inline_functions(skeleton: Skeleton) -> None:
    """Write out the model's own functions, and look at the whole as at a file that came so.

    What a caller hands down as an attribute is known only then.
    """
    if skeleton.model.functions:
        skeleton.model = _inlined(skeleton.model)
        require_wellformed(skeleton.model)


def expand_functions(skeleton: Skeleton) -> None:
    """Replace standard operators by their definitions, a definition's own operators included."""
    while _make_local(skeleton.model, values_too=skeleton.follows_values):
        skeleton.model = _inlined(skeleton.model)


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    # A function may be written in another operator set than the graph that calls it.
    model = onnx.inliner.inline_local_functions(model, convert_version=True)
    del model.functions[:]  # what nothing calls is left in place
    return model


def _make_local(model: onnx.ModelProto, *, values_too: bool) -> bool:
    """Give the model functions of its own for the operators to expand; say whether any is."""
    if not _uses_any(model.graph):
        return False
    # The bodies of some operators depend on the types of their inputs.
    typed = onnx.shape_inference.infer_shapes(model, data_prop=values_too)
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    known = len(model.functions)
    _replace_calls(model, model.graph, value_types(typed.graph), opset)
    if len(model.functions) == known:
        return False
    if all(entry.domain != _DOMAIN for entry in model.opset_import):
        model.opset_import.add(domain=_DOMAIN, version=1)
    return True


def _uses_any(graph: onnx.GraphProto) -> bool:
    return any(
        (node.op_type in EXPANDED and not node.domain)
        or any(_uses_any(inner) for _, inner in subgraphs(node))
        for node in graph.node
    )


def _replace_calls(
    model: onnx.ModelProto,
    graph: onnx.GraphProto,
    types: Mapping[str, onnx.TypeProto],
    opset: int,
) -> None:
    for node in graph.node:
        for _, inner in subgraphs(node):
            _replace_calls(model, inner, {**types, **value_types(inner)}, opset)
        if node.op_type not in EXPANDED or node.domain:
            continue
        body = _definition(node, types, opset)
        if body is not None:
            body.name, body.domain = f"{node.op_type}.{len(model.functions)}", _DOMAIN
            model.functions.append(body)
            node.op_type, node.domain = body.name, _DOMAIN


def _definition(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], opset: int
) -> onnx.FunctionProto | None:
    """Return what ``node`` means; its attributes that have defaults are written into it."""
    schema = onnx.defs.get_schema(node.op_type, opset)
    given = {attribute.name for attribute in node.attribute}
    node.attribute.extend(
        attribute.default_value
        for name, attribute in schema.attributes.items()
        if name not in given and attribute.default_value.name
    )
    if schema.has_function:
        versions = _up_to(opset, schema.function_opset_versions)
        content = schema.get_function_with_opset_version(versions[-1]) if versions else b""
    else:
        versions = _up_to(opset, schema.context_dependent_function_opset_versions)
        kinds = [types.get(name, onnx.TypeProto()).SerializeToString() for name in node.input]
        content = versions and schema.get_context_dependent_function_with_opset_version(
            versions[-1], node.SerializeToString(), kinds
        )
    if not content:
        return None
    body = onnx.FunctionProto.FromString(content)
    # A definition holds until the next version of it: its operators mean the same today.
    for entry in body.opset_import:
        entry.version = opset
    return body


def _up_to(opset: int, versions: Iterable[int]) -> list[int]:
    return sorted(version for version in versions if version <= opset)
