"""Operators that choose by comparison: Clip, Max, Min, ThresholdedRelu."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from tvm import relax, te, tirx

from builder.compiler import selections
from builder.compiler.operators.node import Converter, Node, dtype_of


def clip(node: Node) -> relax.Expr:
    """Convert Clip. Known bounds of floats make one operator that blocks know; TVM's make seven.

    A bound that is left out is the type's last finite number, as in ONNX Runtime; one that is NaN
    is none.
    """
    bounds = [_bound(node, position) for position in (1, 2)]
    data = node.required(0)
    if all(isinstance(bound, float) for bound in bounds):
        return relax.op.clip(data, *bounds)
    given = [bound for bound in bounds if isinstance(bound, relax.Expr)]

    def compute(source: te.Tensor, *tensors: te.Tensor) -> te.Tensor:
        rest = iter(tensors)
        low, high = (next(rest) if isinstance(one, relax.Expr) else one for one in bounds)

        def element(*at: Any) -> Any:
            raised = selections.at_least(source(*at), _number(low, source.dtype))
            return selections.at_most(raised, _number(high, source.dtype))

        return te.compute(source.shape, element, name="clip")

    return node.call(compute, data, *given, name="clip")


def _bound(node: Node, position: int) -> relax.Expr | float:
    """Return a bound as the number that it is, or as what holds it."""
    if node.input(position) is None:
        dtype = np.dtype(dtype_of(node.required(0)))
        limits: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        return np.asarray((limits.min, limits.max)[position - 1], dtype).item()
    value = node.value(position)
    return node.required(position) if value is None else value.reshape(()).item()


def _number(bound: Any, dtype: str) -> Any:
    if isinstance(bound, te.Tensor):
        return bound(*[0] * len(bound.shape))
    return tirx.const(bound, dtype)


def folded(operator: Callable[[relax.Expr, relax.Expr], relax.Expr]) -> Converter:
    """Return the conversion of Max or Min of any number of tensors, which TVM would stack."""

    def converted(node: Node) -> relax.Expr:
        return reduce(operator, [node.required(place) for place in range(len(node.inputs))])

    return converted


def thresholded_relu(node: Node) -> relax.Expr:
    """Convert ThresholdedRelu: what is not above the threshold, NaN too, becomes 0."""
    data = node.required(0)
    least = relax.const(float(node.attribute("alpha", 1.0)), dtype_of(data))
    zero = relax.const(0.0, dtype_of(data))
    return relax.op.where(relax.op.greater(data, least), data, zero)
