"""Rewrites by well-kept libraries: modern operator set, folded constants, inferred shapes."""

from __future__ import annotations

import onnx
import onnx.version_converter
import onnxsim

from builder.compiler.prepare.skeleton import Skeleton
from builder.errors import ModelRefused

OLDEST_OPSET = 13
"""Older ones spell Slice, Clip, Squeeze… with attributes that the importer does not read."""


def upgrade_opset(skeleton: Skeleton) -> None:
    """Convert models older than opset 13 to it; later ones stay what their author tested."""
    model = skeleton.model
    opset = next((entry.version for entry in model.opset_import if not entry.domain), OLDEST_OPSET)
    if opset >= OLDEST_OPSET:
        return
    try:
        skeleton.model = onnx.version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # the converter raises RuntimeError and ConvertError alike
        raise ModelRefused(
            f"opset {opset} cannot be converted to {OLDEST_OPSET}",
            reason="old-opset",
            why=str(error)[:200],
            remedy=f"export the model with opset {OLDEST_OPSET} or later",
        ) from None


def fold(skeleton: Skeleton) -> None:
    """Fold constants and shape arithmetic, drop what computes nothing."""
    try:
        # The checker inside wants every output's rank, which not all exporters write.
        ranked = onnx.shape_inference.infer_shapes(skeleton.model)
        skeleton.model, _ = onnxsim.simplify(ranked)
    except Exception as error:  # onnxsim passes on whatever its checker and its runtime raise
        raise ModelRefused(
            "the model does not pass simplification",
            reason="invalid-graph",
            why=str(error).strip().splitlines()[-1][:300] if str(error).strip() else None,
        ) from None


def constants_to_initialisers(skeleton: Skeleton) -> None:
    """Turn Constant nodes into initialisers: one way to say what is constant."""
    graph = skeleton.model.graph
    kept = []
    for node in graph.node:
        tensor = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and tensor is not None:
            skeleton.set_value(node.output[0], onnx.numpy_helper.to_array(tensor))
        else:
            kept.append(node)
    if len(kept) != len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def infer_shapes(skeleton: Skeleton) -> None:
    """Annotate every value with its shape; one that depends on data is ``ModelRefused``."""
    try:
        inferred = onnx.shape_inference.infer_shapes(
            skeleton.model, check_type=True, strict_mode=True, data_prop=True
        )
    except onnx.shape_inference.InferenceError as error:
        raise ModelRefused(
            "the model's shapes contradict each other",
            reason="invalid-graph",
            why=" ".join(str(error).split())[:300],
        ) from None
    skeleton.model = inferred
    for output in inferred.graph.output:
        tensor = output.type.tensor_type
        if not tensor.HasField("shape") or any(
            not d.HasField("dim_value") for d in tensor.shape.dim
        ):
            raise ModelRefused(
                f"the shape of output {output.name!r} depends on the data",
                reason="dynamic-output",
                remedy="a plan needs outputs of fixed shape; move that step out of the model",
            )
