"""Pad with a constant that is known at run time only."""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from builder.compiler.operators.node import Node
from builder.compiler.tensors import te_shape


def pad(node: Node) -> relax.Expr | None:
    """Convert constant padding by fixed amounts with a value that is an input of the model."""
    amounts, value = node.value(1), node.input(2)
    if amounts is None or value is None or node.value(2) is not None:
        return None
    if node.attribute("mode", "constant") != "constant":
        return None
    rank = len(node.shape(0))
    axes = node.value(3)
    named = range(rank) if axes is None else [int(axis) % rank for axis in axes]
    before, after = [0] * rank, [0] * rank
    for position, axis in enumerate(named):
        before[axis], after[axis] = int(amounts[position]), int(amounts[position + len(named)])

    def compute(data: te.Tensor, around: te.Tensor) -> te.Tensor:
        extents = te_shape(data)
        shape = [b + e + a for b, e, a in zip(before, extents, after, strict=True)]

        def element(*at: Any) -> Any:
            source = [i - b for i, b in zip(at, before, strict=True)]
            bounds = zip(source, extents, strict=True)
            inside = tirx.all(*(c for i, e in bounds for c in (i >= 0, i < e)))
            outside = around[(0,) * len(around.shape)]
            return tirx.if_then_else(inside, data[tuple(source)], outside)

        return te.compute(shape, element, name="pad_value")

    return node.call(compute, node.required(0), value, name="pad")
