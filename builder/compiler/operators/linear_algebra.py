"""Det: determinants by elimination with pivots."""

from __future__ import annotations

import math
from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators import loops
from builder.compiler.operators.node import Node, dtype_of


def det(node: Node) -> relax.Expr | None:
    """Convert Det of square matrices: rows below the largest pivot are reduced by it."""
    *lead, size, _ = node.shape(0)
    dtype, count = dtype_of(node.required(0)), math.prod(lead)

    def compute(data: te.Tensor) -> Any:
        def body(source: Any, result: Any, work: Any, kept: Any, pivot: Any) -> None:
            with T.serial(0, count) as m:
                with T.serial(0, size * size) as i:
                    work[i] = source[m * size * size + i]
                result[m] = tirx.const(1, dtype)
                with T.serial(0, size) as k:
                    _bring_up(work, pivot, k, size)
                    with T.If(pivot[0] != k), T.Then():
                        result[m] = tirx.const(0, dtype) - result[m]
                        with T.serial(0, size) as j:
                            _swap(work, kept, k * size + j, pivot[0] * size + j)
                    result[m] = result[m] * work[k * size + k]
                    with T.If(work[k * size + k] != tirx.const(0, dtype)), T.Then():
                        _eliminate(work, k, size)

        scratch = [([size * size], dtype), ([1], dtype), ([1], "int32")]
        return loops.kernel(body, [data], [(lead, dtype), *scratch], name="det")

    return relax.TupleGetItem(
        node.builder.emit(node.call(compute, node.required(0), name="det")), 0
    )


def _bring_up(work: Any, pivot: Any, k: Any, size: int) -> None:
    """Note the row at or below ``k`` whose element in column ``k`` is largest."""
    pivot[0] = k
    with T.serial(0, size) as i:
        larger = tirx.abs(work[i * size + k]) > tirx.abs(work[pivot[0] * size + k])
        with T.If(tirx.all(i > k, larger)), T.Then():
            pivot[0] = i


def _swap(work: Any, kept: Any, a: Any, b: Any) -> None:
    kept[0] = work[a]
    work[a] = work[b]
    work[b] = kept[0]


def _eliminate(work: Any, k: Any, size: int) -> None:
    with T.serial(0, size) as i, T.If(i > k), T.Then(), T.serial(0, size) as step:
        # From the last column on: the factor, in column k, is overwritten last.
        j = size - 1 - step
        with T.If(j >= k), T.Then():
            factor = work[i * size + k] / work[k * size + k]
            work[i * size + j] = work[i * size + j] - factor * work[k * size + j]
