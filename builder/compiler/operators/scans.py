"""CumSum and CumProd: running sums and products along an axis."""

from __future__ import annotations

import math
from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators import loops
from builder.compiler.operators.node import Node, dtype_of
from builder.compiler.tensors import te_shape


def cumsum(node: Node) -> relax.Expr | None:
    """Convert CumSum with a constant axis."""
    return _scan(node, 0, lambda total, value: total + value)


def cumprod(node: Node) -> relax.Expr | None:
    """Convert CumProd with a constant axis."""
    return _scan(node, 1, lambda total, value: total * value)


def _scan(node: Node, start: int, combine: Any) -> relax.Expr | None:
    axis = node.value(1)
    if axis is None:
        return None
    rank = len(node.shape(0))
    position = int(axis.item()) % rank
    exclusive, reverse = bool(node.attribute("exclusive", 0)), bool(node.attribute("reverse", 0))
    dtype = dtype_of(node.required(0))

    def compute(data: te.Tensor) -> Any:
        shape = te_shape(data)
        flat = [math.prod(shape[:position]), shape[position], math.prod(shape[position + 1 :])]

        def body(source: Any, result: Any, total: Any) -> None:
            with T.serial(0, flat[0]) as i, T.serial(0, flat[2]) as j:
                total[0] = tirx.const(start, dtype)
                with T.serial(0, flat[1]) as step:
                    k = flat[1] - 1 - step if reverse else step
                    at = (i * flat[1] + k) * flat[2] + j
                    if exclusive:
                        result[at] = total[0]
                        total[0] = combine(total[0], source[at])
                    else:
                        total[0] = combine(total[0], source[at])
                        result[at] = total[0]

        results = [(shape, dtype), ([1], dtype)]
        return loops.kernel(body, [data], results, name=node.operator.lower())

    call = node.call(compute, node.required(0), name=node.operator.lower())
    return relax.TupleGetItem(node.builder.emit(call), 0)
