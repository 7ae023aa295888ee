"""ONNX's own shape inference, where an answer is welcome and none is no failure."""

from __future__ import annotations

import onnx


def inferred(model: onnx.ModelProto, *, values_too: bool = True) -> onnx.ModelProto:
    """Return ``model`` with what shapes there are; itself where they contradict each other.

    ``values_too``: follow the values of shape arithmetic, which tells more shapes.
    """
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=values_too)
    except Exception:  # the pass that needs shapes says what is wrong with them
        return model
