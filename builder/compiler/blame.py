"""Which ONNX node a failing compiler was working on: compile the nodes one by one and see."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from builder.compiler.extraction import extract
from builder.compiler.node_names import node_name
from builder.errors import BoardwrightError, BuildFailed


def blamed(
    error: Exception, model: onnx.ModelProto, compile_alone: Callable[[onnx.ModelProto], object]
) -> BoardwrightError:
    """Return ``error``, raised while ``model`` was compiled, as a failure that names its node.

    ``compile_alone`` compiles a model of one node; the first that fails is the one to name. Where
    none does, it is their combination that fails, and no node is named.
    """
    seen: set[bytes] = set()
    for position, node in enumerate(model.graph.node):
        single = extract(model, (position,))
        likeness = _likeness(single)
        if likeness in seen:
            continue
        seen.add(likeness)
        try:
            compile_alone(single)
        except BoardwrightError as failure:
            return failure
        except Exception as cause:  # TVM raises what it likes
            return _failed(cause, node_name(position, node), node.op_type)
    return _failed(error, None, None)


def _failed(cause: Exception, node: str | None, operator: str | None) -> BuildFailed:
    return BuildFailed(
        f"the compiler fails at this node ({operator})" if node else "the compiler fails",
        reason="compiler-failed",
        where=node,
        why=(str(cause).strip().splitlines() or [type(cause).__name__])[-1][:300],
        remedy="replace the node where the model is exported, and please report it",
        details={"node": node, "operator": operator},
    )


def _likeness(single: onnx.ModelProto) -> bytes:
    """Return something equal for nodes that differ in names and weights only."""
    node = onnx.NodeProto()
    node.CopyFrom(single.graph.node[0])
    parts = [value.type.SerializeToString() for value in single.graph.input]
    for weight in single.graph.initializer:
        tensor = onnx.TensorProto()
        tensor.CopyFrom(weight)
        for field in ("name", "external_data"):
            tensor.ClearField(field)
        parts.append(tensor.SerializeToString())
    del node.input[:], node.output[:]
    node.ClearField("name")
    return b"|".join((node.SerializeToString(deterministic=True), *parts))
