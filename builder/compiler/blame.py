"""Which ONNX node a failing compiler was working on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx

from builder.compiler.extraction import extract
from builder.compiler.node_names import node_name
from builder.compiler.plan import KernelCall
from builder.errors import BoardwrightError, BuildFailed, ModelRefused


def blamed(
    error: Exception, model: onnx.ModelProto, compile_alone: Callable[[onnx.ModelProto], object]
) -> BoardwrightError:
    """Return ``error``, raised while ``model`` was compiled, as a failure that names its node.

    Nodes are compiled one by one, to see.
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
            name, operator = node_name(position, node), node.op_type
            what = f"the compiler fails at this node ({operator})"
            return _failed(what, name, last_words(cause), {"node": name, "operator": operator})
    nobody = {"node": None, "operator": None}
    return _failed("the compiler fails", None, last_words(error), nobody)


def kernel_blamed(kernel: str | None, why: str, calls: Sequence[KernelCall]) -> BuildFailed:
    """Return a failure to compile ``kernel`` as one that names the nodes which it computes.

    Without a kernel it is their combination that fails, and no node is named.
    """
    nodes = next((call.nodes for call in calls if call.kernel == kernel), ())
    what = "the compiler fails at the kernel of these nodes" if nodes else "the compiler fails"
    details = {"kernel": kernel, "nodes": list(nodes)}
    return _failed(what, ", ".join(nodes) or None, why, details)


def last_words(error: Exception) -> str:
    """Return the last line of what TVM says, which is the one that tells something."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]


def _failed(what: str, where: str | None, why: str, details: dict[str, Any]) -> BuildFailed:
    return BuildFailed(
        what,
        reason="compiler-failed",
        where=where,
        why=why,
        remedy="replace the node where the model is exported, and please report it",
        details=details,
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


def undecidable(what: str, nodes: Sequence[str]) -> ModelRefused:
    """Return the failure of a plan that would have to be made at run time, for ``nodes``."""
    return ModelRefused(
        f"{what} cannot be planned before run time",
        reason="not-static",
        where=", ".join(nodes) or None,
        remedy="replace the node by operations on fixed shapes",
        details={"nodes": list(nodes)},
    )
