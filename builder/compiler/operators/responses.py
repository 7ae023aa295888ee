"""LRN as one operator, which TVM has none for; the stock conversion is seven and a pool in 3-D."""

from __future__ import annotations

from tvm import ir, relax

from builder.compiler.kernels.local_response import Response
from builder.compiler.operators.node import Node

OPERATOR = "boardwright.local_response"

ir.register_op_attr(OPERATOR, "FInferType", lambda call, _builder: call.args[0].ty)
ir.register_op_attr(OPERATOR, "FPurity", True)


def local_response(node: Node) -> relax.Expr:
    """Convert LRN over the second axis of a tensor of any rank."""
    size = int(node.attribute("size"))
    attributes = {
        "size": size,
        "alpha": float(node.attribute("alpha", 1e-4)) / size,
        "beta": float(node.attribute("beta", 0.75)),
        "bias": float(node.attribute("bias", 1.0)),
    }
    return relax.Call(
        ir.Op.get(OPERATOR), [node.required(0)], ir.make_node("ir.DictAttrs", **attributes)
    )


def response(call: relax.Call) -> Response:
    """Return what ``local_response`` wrote into the operator."""
    attrs = call.attrs
    return Response(
        size=int(attrs["size"]),
        alpha=float(attrs["alpha"]),
        beta=float(attrs["beta"]),
        bias=float(attrs["bias"]),
    )
