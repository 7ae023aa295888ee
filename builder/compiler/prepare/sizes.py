"""Values too large for any board, found before anybody makes room for them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx

from builder.compiler.node_names import node_name
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.refusals import is_static, value_types
from builder.errors import ModelRefused

MOST_BYTES = 1 << 31
"""Of one value between nodes: beyond it, 32-bit boards have no address for its end."""

_MOST_FOLDED_BYTES = 1 << 30
_COPIES = 4


def refuse_oversized(skeleton: Skeleton) -> None:
    """Raise ``ModelRefused`` ``too-large`` naming the first input or node beyond ``MOST_BYTES``.

    Shapes are inferred from those of the inputs and from constants, without computing anything.
    """
    graph = skeleton.model.graph
    types = value_types(graph)
    for value in graph.input:
        if value.name not in skeleton.spans:
            _require_small(value.name, types, f"input {value.name!r}")
    # Propagating values makes them: first without, lest a Range fill the memory right here.
    for values_too in (False, True):
        types = value_types(inferred(skeleton.model, values_too=values_too).graph)
        for index, node in enumerate(graph.node):
            for name in node.output:
                _require_small(name, types, f"node {node_name(index, node)!r} ({node.op_type})")


def inferred(model: onnx.ModelProto, *, values_too: bool = True) -> onnx.ModelProto:
    """Return ``model`` with what shapes there are; itself where they contradict each other.

    ``values_too``: follow the values of shape arithmetic, which tells more shapes.
    """
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=values_too)
    except Exception:  # the pass that needs shapes says what is wrong with them
        return model


def _require_small(name: str, types: Mapping[str, onnx.TypeProto], what: str) -> None:
    kind = types.get(name)
    if kind is None or not is_static(kind):
        return
    shape = [dim.dim_value for dim in kind.tensor_type.shape.dim]
    size_bytes = math.prod(shape) * _itemsize(kind.tensor_type.elem_type)
    if size_bytes > MOST_BYTES:
        raise ModelRefused(
            f"{what} takes {size_bytes} bytes",
            reason="too-large",
            why=f"its shape is {shape}; {MOST_BYTES} bytes is the most for one value",
            remedy="give smaller shapes",
        )


def _itemsize(element: int) -> int:
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(element).itemsize)
    except (KeyError, ValueError, TypeError):
        return 1


def folding_bytes(skeleton: Skeleton) -> int:
    """Return what folding may take for values that follow from constants alone.

    They are held by whoever computes them, and copied on their way into the model. Values are
    counted up to ``_MOST_FOLDED_BYTES``: a model that makes more of nothing has to be refused.
    """
    graph = skeleton.model.graph
    types = value_types(inferred(skeleton.model, values_too=False).graph)
    constants = {"", *skeleton.spans, *(tensor.name for tensor in graph.initializer)}
    total = 0
    for node in graph.node:
        if constants.issuperset(node.input):
            constants.update(node.output)
            total += sum(_size_bytes(types.get(name)) for name in node.output)
    return _COPIES * min(total, _MOST_FOLDED_BYTES)


def run_bytes(skeleton: Skeleton) -> int:
    """Return what one run of a static model may take: all its values, as if none were freed.

    ONNX Runtime frees them, but grows its arena by doubling; checks hold inputs and outputs twice.
    """
    types = value_types(skeleton.model.graph)
    return sum(_size_bytes(kind) for kind in types.values())


def _size_bytes(kind: onnx.TypeProto | None) -> int:
    """Return what a value of a type takes; 0 where its shape is not known."""
    if kind is None or not is_static(kind):
        return 0
    shape = (dim.dim_value for dim in kind.tensor_type.shape.dim)
    return int(math.prod(shape)) * _itemsize(kind.tensor_type.elem_type)
