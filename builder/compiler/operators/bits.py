"""BitCast: the same bits as another type of the same width."""

from __future__ import annotations

from typing import Any

import onnx
from tvm import relax, te, tirx

from builder.compiler.operators.node import Node, dtype_of


def bitcast(node: Node) -> relax.Expr | None:
    """Convert BitCast between types of equal width."""
    element = int(node.attributes["to"])
    dtype = onnx.helper.tensor_dtype_to_np_dtype(element).name
    if dtype == dtype_of(node.required(0)):
        return node.required(0)

    def compute(data: te.Tensor) -> te.Tensor:
        def bits(*at: Any) -> Any:
            return tirx.reinterpret(dtype, data[at])

        return te.compute(data.shape, bits, name="bitcast")

    return node.call(compute, node.required(0), name="bitcast")
