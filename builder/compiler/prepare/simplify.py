"""Rewrites by well-kept libraries: folded constants, inferred shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxsim

from builder.compiler.prepare.explanations import contradictory, explained
from builder.compiler.prepare.skeleton import Skeleton


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
    """Annotate every value with its shape, as far as it does not depend on data.

    The ranks that outputs are noted with are hints: where they contradict the rest, they go.
    """
    # What an earlier pass noted may no longer be so.
    forget_noted(skeleton)
    try:
        skeleton.model = _inferred(skeleton)
    except Exception as error:  # InferenceError, or ValueError for types that do not exist
        for output in skeleton.model.graph.output:
            _forget_rank(output)
        try:
            skeleton.model = _inferred(skeleton)
        except Exception:
            raise contradictory(error) from None


def _inferred(skeleton: Skeleton) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(
        skeleton.model, check_type=True, strict_mode=True, data_prop=skeleton.follows_values
    )


def forget_shapes(graph: onnx.GraphProto) -> None:
    """Drop what a graph notes about the shapes of its values, but for its inputs.

    Of outputs the rank stays, unless it is none: "a scalar" would pass for a known shape. An
    output that is an input or a weight is what that is.
    """
    make = onnx.helper.make_tensor_value_info
    given = {
        tensor.name: make(tensor.name, tensor.data_type, tensor.dims)
        for tensor in graph.initializer
    }
    given |= {value.name: value for value in graph.input}
    del graph.value_info[:]
    for output in graph.output:
        if output.name in given:
            output.CopyFrom(given[output.name])
            continue
        dims = output.type.tensor_type.shape.dim
        for dim in dims:
            dim.Clear()
        if not dims:
            _forget_rank(output)


def _forget_rank(output: onnx.ValueInfoProto) -> None:
    if output.type.HasField("tensor_type"):
        output.type.tensor_type.ClearField("shape")


def forget_noted(skeleton: Skeleton) -> None:
    """Drop what earlier passes noted about shapes, but for what ONNX cannot infer."""
    graph = skeleton.model.graph
    forget_shapes(graph)
    made = {name for node in graph.node if node.domain for name in node.output}
    made -= {output.name for output in graph.output}
    graph.value_info.extend(value for name, value in skeleton.kept.items() if name in made)
