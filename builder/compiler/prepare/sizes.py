"""Values too large for any board, and models too costly, found before anybody computes them."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from builder.compiler.node_names import node_name
from builder.compiler.prepare.costs import refuse_costly, size_of
from builder.compiler.prepare.inference import inferred
from builder.compiler.prepare.known import fold_known
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.refusals import is_static, value_types
from builder.errors import ModelRefused

MOST_BYTES = 1 << 31
"""Of one value between nodes: beyond it, 32-bit boards have no address for its end."""

_MOST_ENDS = 2048
"""Inputs, and outputs: ONNX Runtime's time grows with their square, and no caller binds so many."""

_LONGEST_FOLLOWED = 1 << 20
"""Elements: ONNX's propagation takes any row that is added for a shape, a microsecond an extent."""

_LONGEST_ROW = 1 << 24

_MOST_FOLDED_BYTES = 1 << 30
_COPIES = 4


def refuse_oversized(skeleton: Skeleton) -> None:
    """Raise ``ModelRefused`` ``too-large`` naming the first input or node beyond ``MOST_BYTES``.

    Raises ``too-many-ends`` for more inputs or outputs than a caller could bind.
    Shapes are inferred from those of the inputs and from constants, without computing anything.
    Raises ``too-costly`` as ``costs.refuse_costly`` does.
    """
    graph = skeleton.model.graph
    types = value_types(graph)
    inputs = [value.name for value in graph.input if value.name not in skeleton.spans]
    _require_few(len(inputs), "inputs")
    _require_few(len(graph.output), "outputs")
    for name in inputs:
        _require_small(name, types, f"input {name!r}")
    # Propagating values makes them: first without, lest a Range fill the memory right here.
    without = inferred(skeleton.model, values_too=False)
    _require_small_values(without.graph)
    row = _longest_row(without.graph)
    if row > _LONGEST_ROW:
        raise ModelRefused(
            f"a value of one axis has {row} elements",
            reason="too-large",
            why=f"{_LONGEST_ROW} is the most: libraries take it for a shape, extent by extent",
            remedy="give it a second axis, [1, N]",
        )
    skeleton.follows_values = row <= _LONGEST_FOLLOWED
    with_values = inferred(skeleton.model) if skeleton.follows_values else without
    _require_small_values(with_values.graph)
    if refuse_costly(skeleton, with_values.graph):
        # Small values decide how large others get: what folding would find out is found out now.
        fold_known(skeleton)
        with_values = inferred(skeleton.model, values_too=skeleton.follows_values)
        _require_small_values(with_values.graph)
        refuse_costly(skeleton, with_values.graph)


def _require_few(count: int, what: str) -> None:
    if count > _MOST_ENDS:
        raise ModelRefused(
            f"the model has {count} {what}",
            reason="too-many-ends",
            why=f"{_MOST_ENDS} is the most",
            remedy="join them: one tensor with an axis more",
        )


def _require_small_values(graph: onnx.GraphProto) -> None:
    types = value_types(graph)
    for index, node in enumerate(graph.node):
        for name in node.output:
            _require_small(name, types, f"node {node_name(index, node)!r} ({node.op_type})")


def _longest_row(graph: onnx.GraphProto) -> int:
    """Return the elements of the longest value of one axis."""
    tensors = (kind.tensor_type for kind in value_types(graph).values())
    rows = (tensor.shape.dim[0].dim_value for tensor in tensors if len(tensor.shape.dim) == 1)
    return max(rows, default=0)


def _require_small(name: str, types: Mapping[str, onnx.TypeProto], what: str) -> None:
    kind = types.get(name)
    if kind is None or not is_static(kind):
        return
    size_bytes = size_of(kind)
    if size_bytes > MOST_BYTES:
        raise ModelRefused(
            f"{what} takes {size_bytes} bytes",
            reason="too-large",
            why=f"its shape is {[dim.dim_value for dim in kind.tensor_type.shape.dim]};"
            f" {MOST_BYTES} bytes is the most for one value",
            remedy="give smaller shapes",
        )


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
            total += sum(size_of(types.get(name)) for name in node.output)
    return _COPIES * min(total, _MOST_FOLDED_BYTES)


def run_bytes(skeleton: Skeleton) -> int:
    """Return what one run of a static model may take: all its values, as if none were freed.

    ONNX Runtime frees them, but grows its arena by doubling; checks hold inputs and outputs twice.
    """
    types = value_types(skeleton.model.graph)
    return sum(size_of(kind) for kind in types.values())
