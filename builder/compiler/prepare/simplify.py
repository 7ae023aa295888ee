"""Rewrites by well-kept libraries: modern operator set, folded constants, inferred shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.version_converter
import onnxsim

from builder.compiler.prepare.explanations import contradictory, explained
from builder.compiler.prepare.skeleton import Skeleton
from builder.errors import ModelRefused

OLDEST_OPSET = 13
"""Older ones spell Slice, Clip, Squeeze… with attributes that the importer does not read."""

_SCAN_WITHOUT_BATCH = 9


def upgrade_opset(skeleton: Skeleton) -> None:
    """Convert models older than opset 13 to it; later ones stay what their author tested."""
    convert_opset(skeleton, OLDEST_OPSET)


def convert_opset(skeleton: Skeleton, wanted: int) -> None:
    """Convert a model of an operator set older than ``wanted`` to that one."""
    model, opset = skeleton.model, opset_of(skeleton.model)
    if opset >= wanted:
        return
    if opset < _SCAN_WITHOUT_BATCH and any(node.op_type == "Scan" for node in model.graph.node):
        raise ModelRefused(
            f"Scan of opset {opset} is another operator than today's, and has no conversion",
            reason="old-opset",
            remedy=f"export the model with opset {_SCAN_WITHOUT_BATCH} or later",
        )
    try:
        skeleton.model = onnx.version_converter.convert_version(model, wanted)
    except Exception as error:  # the converter raises RuntimeError and ConvertError alike
        raise ModelRefused(
            f"opset {opset} cannot be converted to {wanted}",
            reason="old-opset",
            why=str(error)[:200],
            remedy=f"export the model with opset {wanted} or later",
        ) from None


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a model is written in."""
    return next((entry.version for entry in model.opset_import if not entry.domain), OLDEST_OPSET)


def fold(skeleton: Skeleton) -> None:
    """Fold constants and shape arithmetic, drop what computes nothing."""
    try:
        # The checker inside wants every output's rank, which not all exporters write.
        ranked = onnx.shape_inference.infer_shapes(skeleton.model)
        skeleton.model, _ = onnxsim.simplify(ranked)
    except Exception as error:  # onnxsim passes on whatever its checker and its runtime raise
        raise explained(skeleton.model, error) from None


def constants_to_initialisers(skeleton: Skeleton) -> None:
    """Turn Constant nodes into initialisers: one way to say what is constant."""
    graph = skeleton.model.graph
    kept = []
    for node in graph.node:
        value = constant_value(node) if node.op_type == "Constant" else None
        if value is None:
            kept.append(node)
        else:
            skeleton.add(node.output[0], value)
    if len(kept) != len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def constant_value(node: onnx.NodeProto) -> npt.NDArray[Any] | None:
    """Return the value of a Constant node; None for strings and sparse tensors."""
    attribute = node.attribute[0]
    match attribute.name:
        case "value":
            return np.asarray(onnx.numpy_helper.to_array(attribute.t))
        case "value_float" | "value_floats":
            return np.asarray(onnx.helper.get_attribute_value(attribute), np.float32)
        case "value_int" | "value_ints":
            return np.asarray(onnx.helper.get_attribute_value(attribute), np.int64)
    return None


def infer_shapes(skeleton: Skeleton) -> None:
    """Annotate every value with its shape, as far as it does not depend on data."""
    # What an earlier pass noted may no longer be so.
    del skeleton.model.graph.value_info[:]
    try:
        skeleton.model = onnx.shape_inference.infer_shapes(
            skeleton.model, check_type=True, strict_mode=True, data_prop=True
        )
    except Exception as error:  # InferenceError, or ValueError for types that do not exist
        raise contradictory(error) from None
