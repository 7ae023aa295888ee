"""The mark on an operand that is checked before use: an operator that hands its operand on.

No pass looks through it, so that the operand stands in memory when it is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import ir, relax

OPERATOR = "boardwright.checked"

ir.register_op_attr(OPERATOR, "FInferType", lambda call, _builder: call.args[0].ty)
ir.register_op_attr(OPERATOR, "FPurity", True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What is checked: ``bounds`` are pairs of the lowest and the highest, as ``plan.Check`` has.

    ``node`` is the name of the ONNX node and ``tensor`` that of its operand.
    """

    what: str
    bounds: tuple[tuple[int, int], ...]
    node: str
    tensor: str


def checked(operand: relax.Expr, mark: Mark) -> relax.Expr:
    """Return ``operand``, to be checked where it is used first."""
    attributes: dict[str, Any] = {
        "what": mark.what,
        "lowest": [low for low, _ in mark.bounds],
        "highest": [high for _, high in mark.bounds],
        "node": mark.node,
        "tensor": mark.tensor,
    }
    return relax.Call(ir.Op.get(OPERATOR), [operand], ir.make_node("ir.DictAttrs", **attributes))


def mark_of(call: relax.Call) -> Mark:
    """Return what ``checked`` wrote into the operator."""
    attrs = call.attrs
    bounds = zip(attrs["lowest"], attrs["highest"], strict=True)
    return Mark(
        what=str(attrs["what"]),
        bounds=tuple((int(low), int(high)) for low, high in bounds),
        node=str(attrs["node"]),
        tensor=str(attrs["tensor"]),
    )
