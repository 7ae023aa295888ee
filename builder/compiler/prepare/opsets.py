"""Models of older operator sets, converted to one that everything after reads."""

from __future__ import annotations

import onnx
import onnx.version_converter

from builder.compiler.prepare.new_names import NewNames
from builder.compiler.prepare.older_hardmax import hardmax_as_before
from builder.compiler.prepare.older_resizing import resize_as_before
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
    names = NewNames.of(skeleton.model.graph)
    resize_as_before(skeleton.model.graph, opset, names)
    hardmax_as_before(skeleton.model.graph, opset, names)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a model is written in."""
    return next((entry.version for entry in model.opset_import if not entry.domain), OLDEST_OPSET)
