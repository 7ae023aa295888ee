"""Operators that ONNX Runtime adds to ONNX's, written as ONNX's own.

Its optimiser and its quantiser leave them in ordinary files. A rewrite may need to know a shape
that only the rewrite before it tells, so they go on in turns.
"""

from __future__ import annotations

import onnx

from builder.compiler.node_names import nodes
from builder.compiler.prepare import opsets, simplify
from builder.compiler.prepare.rewrites import (
    contributed,
    fused_attention,
    fused_integers,
    quantised_recurrence,
)
from builder.compiler.prepare.rewriting import Rewrite, Site, rewrite
from builder.compiler.prepare.skeleton import Skeleton

DOMAIN = "com.microsoft"

_OPSET = 17
"""The rewrites' own: the first with LayerNormalization."""

_UNNAMED = frozenset({"LayerNormalization", "SimplifiedLayerNormalization"})
"""What ONNX Runtime's optimiser writes as ONNX's own at any operator set."""

_TABLE = {
    **contributed.TABLE,
    **fused_attention.TABLE,
    **fused_integers.TABLE,
    **quantised_recurrence.TABLE,
}


def admit_contributed(skeleton: Skeleton) -> None:
    """Put such operators into their domain, and the model at an operator set to write them in."""
    model = skeleton.model
    opset = opsets.opset_of(model)
    placed = [entry.node for entry in nodes(model.graph)]
    for node in placed:
        if node.op_type in _UNNAMED and not onnx.defs.has(node.op_type, opset, node.domain):
            node.domain = DOMAIN
    inside = (node for function in model.functions for node in function.node)
    if all(node.domain != DOMAIN for node in (*placed, *inside)):
        return
    if all(entry.domain != DOMAIN for entry in model.opset_import):
        model.opset_import.add(domain=DOMAIN, version=1)
    opsets.convert_opset(skeleton, _OPSET)


def rewrite_contributed(skeleton: Skeleton) -> None:
    """Replace the nodes of the outermost graph, as long as one tells another its shapes."""
    table = {operator: when_typed(take) for operator, take in _TABLE.items()}
    while any(node.domain == DOMAIN for node in skeleton.model.graph.node):
        simplify.infer_shapes(skeleton)
        if not rewrite(skeleton, table, domains=(DOMAIN,)):
            return


def when_typed(take: Rewrite) -> Rewrite:
    """Return a rewrite that waits until its node's operands have types and ranks."""

    def taken(site: Site) -> bool:
        kinds = (site.graph.types.get(name) for name in site.node.input if name)
        known = all(kind is not None and kind.tensor_type.HasField("shape") for kind in kinds)
        return known and take(site)

    return taken
