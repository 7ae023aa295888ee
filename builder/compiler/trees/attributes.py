"""Attributes of a node with trees, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from builder.errors import ModelRefused

Array = npt.NDArray[Any]
Attributes = Mapping[str, Any]
"""Of an ONNX node: numbers, texts (bytes or str) or sequences of them, tensors as protobuf."""

LESS, EQUAL, GREATER, MISSING = 1, 2, 4, 8
"""Ways to the left: the feature is below its threshold, at it, above it, or no number."""

WAYS = {
    "BRANCH_LEQ": LESS | EQUAL,
    "BRANCH_LT": LESS,
    "BRANCH_GTE": GREATER | EQUAL,
    "BRANCH_GT": GREATER,
    "BRANCH_EQ": EQUAL,
    "BRANCH_NEQ": LESS | GREATER | MISSING,
}
"""What each mode lets go left, in the order of TreeEnsemble's numbers of modes."""

AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
"""In the order of TreeEnsemble's numbers."""


def whole(attributes: Attributes, name: str) -> Array:
    """Return integers."""
    return np.asarray(attributes.get(name, ()), np.int64).reshape(-1)


def real(attributes: Attributes, name: str) -> Array:
    """Return floats of 32 or 64 bits: a list, or the tensor that newer versions have instead."""
    tensor = attributes.get(f"{name}_as_tensor", attributes.get(name))
    if isinstance(tensor, onnx.TensorProto):
        value = np.asarray(numpy_helper.to_array(tensor)).reshape(-1)
        return value if value.dtype in (np.float64, np.uint8) else value.astype(np.float32)
    return np.asarray(() if tensor is None else tensor, np.float32).reshape(-1)


def text(value: Any) -> str:
    """Return a text that protobuf may hold as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def tracked(attributes: Attributes, count: int) -> Array:
    """Say which of ``count`` nodes lead left what is no number."""
    given = whole(attributes, "nodes_missing_value_tracks_true")[:count] == 1
    return np.concatenate([given, np.zeros(count - len(given), np.bool_)])


def require_lengths(arrays: Sequence[Array]) -> None:
    """Refuse a node whose lists do not go together."""
    if len({len(each) for each in arrays}) != 1:
        raise malformed("its lists have different lengths")


def malformed(why: str) -> ModelRefused:
    """Return the failure of a node whose tables do not fit together."""
    return ModelRefused(
        "the trees of a node do not fit together",
        reason="malformed-trees",
        why=why,
        remedy="export the model again, or see what ONNX Runtime says of it",
    )
