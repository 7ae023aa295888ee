"""Operators whose result jumps: operands that differ by rounding alone give quite another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import TensorProto

Types = Mapping[str, onnx.TypeProto]

BY_ELEMENT: Mapping[str, Sequence[int]] = {
    **dict.fromkeys(("Ceil", "Floor", "Round", "Sign", "Cast", "CastLike"), (0,)),
    **dict.fromkeys(("QuantizeLinear", "Shrink", "ThresholdedRelu", "IsInf"), (0,)),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "Mod"), (0, 1)),
    "GridSample": (1,),
}
"""The operands that decide, of operators that jump element by element."""

BY_ORDER = frozenset({"ArgMax", "ArgMin", "TopK", "Hardmax", "MaxPool", "NonMaxSuppression"})
"""Operators that choose among the elements of an axis."""

_IN_STEPS = ("DynamicQuantize", "QAttention", "QGemm", "QLinear", "Quantize")
_BY_THRESHOLD = ("TreeEnsemble",)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


def may_jump(node: onnx.NodeProto, types: Types) -> bool:
    """Say whether a node's result jumps where its operands hardly differ."""
    if node.op_type.startswith((*_IN_STEPS, *_BY_THRESHOLD)):
        return True
    if node.op_type == "MaxPool":
        return len(node.output) > 1 and bool(node.output[1])
    if node.op_type not in BY_ELEMENT and node.op_type not in BY_ORDER:
        return False
    if not _is_float(node.input[0], types):
        return False
    return node.op_type not in ("Cast", "CastLike") or not _is_float(node.output[0], types)


def may_jump_far(graph: onnx.GraphProto, types: Types) -> bool:
    """Say whether a model's results jump by more than the steps of its own numbers."""
    nodes = (node for node in graph.node if not node.op_type.startswith(_IN_STEPS))
    return any(may_jump(node, types) for node in nodes)


def _is_float(name: str, types: Types) -> bool:
    return name not in types or types[name].tensor_type.elem_type in _FLOATS
