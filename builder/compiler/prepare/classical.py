"""Classical models (ai.onnx.ml) written as ONNX's own operators, and texts as indices.

A rewrite may need to know a shape that only the rewrite before it tells, so they go on in turns.
"""

from __future__ import annotations

import onnx

from builder.compiler.node_names import nodes
from builder.compiler.prepare import simplify, texts
from builder.compiler.prepare.contributed import when_typed
from builder.compiler.prepare.rewrites import classical
from builder.compiler.prepare.rewriting import rewrite
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.refusals import Surveyor, refused

DOMAIN = "ai.onnx.ml"


def rewrite_classical(skeleton: Skeleton) -> None:
    """Replace the nodes of the outermost graph, as long as one tells another its shapes."""
    _refuse_dictionaries(skeleton)
    table = {operator: when_typed(take) for operator, take in classical.TABLE.items()}
    while any(node.domain == DOMAIN for node in skeleton.model.graph.node):
        texts.number(skeleton)
        simplify.forget_noted(skeleton)
        # Types may contradict each other until all texts are indices.
        skeleton.model = onnx.shape_inference.infer_shapes(
            skeleton.model, data_prop=skeleton.follows_values
        )
        if not rewrite(skeleton, table, domains=(DOMAIN,)):
            return
    texts.number(skeleton)


def _refuse_dictionaries(skeleton: Skeleton) -> None:
    """Refuse at once what makes a dictionary, before anything stumbles over its type."""
    surveyor = Surveyor.of(skeleton.model)
    found = [
        surveyor.refusal(placed, "dictionary", "it makes dictionaries of a tensor")
        for placed in nodes(skeleton.model.graph)
        if (placed.node.domain, placed.node.op_type) == (DOMAIN, "ZipMap")
    ]
    if found:
        raise refused(found)
