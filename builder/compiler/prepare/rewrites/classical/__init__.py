"""The operators of ai.onnx.ml, but for those over texts, as ONNX's own and a few that are kept."""

from __future__ import annotations

from collections.abc import Mapping

from builder.compiler.prepare.rewrites.classical import (
    categories,
    features,
    linear,
    support_vectors,
    trees,
)
from builder.compiler.prepare.rewriting import Rewrite

TABLE: Mapping[str, Rewrite] = {
    **categories.TABLE,
    **features.TABLE,
    **linear.TABLE,
    **support_vectors.TABLE,
    **trees.TABLE,
}
"""Operator -> its rewrite, by the conventions of ONNX Runtime where ONNX leaves them open."""
