"""Clip as one operator; the stock conversion is seven."""

from __future__ import annotations

from tvm import relax

from builder.compiler.operators.node import Node


def clip(node: Node) -> relax.Expr | None:
    """Convert Clip with two constant bounds."""
    low, high = node.value(1), node.value(2)
    if low is None or high is None:
        return None
    return relax.op.clip(node.required(0), float(low), float(high))
