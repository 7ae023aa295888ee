"""Whether a model is affordable: the operations and bytes of one run, against its limits.

A model of some kilobytes can ask for a day of computing. Estimates are made of shapes alone, before
anything is folded or run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from builder.compiler.flops import Shapes
from builder.compiler.inspecting import peak_bytes
from builder.compiler.node_names import subgraphs
from builder.compiler.prepare.skeleton import Skeleton, used_names
from builder.compiler.prepare.work import work
from builder.compiler.refusals import is_static, value_types
from builder.errors import ModelRefused

_FOLDED_SHARE = 100
"""Folding happens on one machine, once, before the model is known: it gets less of the limits."""

_MOST_ROUNDS = 100_000
"""Of a loop that is written out: each round is a node at least."""

_MADE_SHARE = 16
_MADE_OF_WEIGHTS = 16
"""How much larger constants may get: int4 weights as float32 are eight times as large."""

_Numbers = Mapping[str, onnx.TensorProto]


def refuse_costly(skeleton: Skeleton, graph: onnx.GraphProto) -> bool:
    """Raise ``ModelRefused`` ``too-costly`` for a model beyond its limits.

    ``graph`` is the skeleton's, with what shapes are known. Return whether there are constants of
    unknown size: folding would find that out by computing them.
    """
    costs = _Costs.of(skeleton, graph)
    for node in graph.node:
        costs.count(node)
    limits = skeleton.limits
    _require(costs.total, limits.operations, "operations", "one run computes")
    _require(
        costs.folded, limits.operations // _FOLDED_SHARE, "operations", "its constants compute"
    )
    weights_bytes = sum(span.size_bytes for span in skeleton.spans.values())
    most_made = limits.memory_bytes // _MADE_SHARE + _MADE_OF_WEIGHTS * weights_bytes
    _require(costs.made_bytes, most_made, "memory", "its constants become")
    _require(live_bytes(graph, skeleton.spans), limits.memory_bytes, "memory", "one run holds")
    return costs.is_open


def live_bytes(graph: onnx.GraphProto, spans: Iterable[str]) -> int:
    """Return the most bytes that a run holds at once, its inputs and outputs included.

    ``spans`` are the inputs that are weights: those are mapped, and do not count.
    """
    sizes = {name: size_of(kind) for name, kind in value_types(graph).items()}
    weights = {*spans, *(tensor.name for tensor in graph.initializer)}
    ends = {value.name for value in (*graph.input, *graph.output)} - weights
    return peak_bytes(graph, sizes) + sum(sizes[name] for name in ends)


def size_of(kind: onnx.TypeProto | None) -> int:
    """Return what a value of a type takes; 0 where its shape is not known."""
    if kind is None or not is_static(kind):
        return 0
    shape = (dim.dim_value for dim in kind.tensor_type.shape.dim)
    return int(math.prod(shape)) * _itemsize(kind.tensor_type.elem_type)


def _itemsize(element: int) -> int:
    try:
        return int(onnx.helper.tensor_dtype_to_np_dtype(element).itemsize)
    except (KeyError, ValueError, TypeError):
        return 1


@dataclass(slots=True, kw_only=True)
class _Costs:
    """What has been counted: operations in all, and of constants; bytes that constants become."""

    types: Mapping[str, onnx.TypeProto]
    shapes: Shapes
    numbers: Mapping[str, onnx.TensorProto]
    constants: set[str]
    total: int = 0
    folded: int = 0
    made_bytes: int = 0
    is_open: bool = False

    @classmethod
    def of(cls, skeleton: Skeleton, graph: onnx.GraphProto) -> _Costs:
        types = value_types(graph)
        return cls(
            types=types,
            shapes=_shapes(types),
            numbers={tensor.name: tensor for tensor in graph.initializer},
            constants={"", *skeleton.spans, *(tensor.name for tensor in graph.initializer)},
        )

    def count(self, node: onnx.NodeProto) -> None:
        """Count a node, once all that make its inputs have been."""
        is_constant = self._is_constant(node)
        # A loop too long to be written out is refused without being run, unless folding runs it.
        most_rounds = None if is_constant else _MOST_ROUNDS
        operations = _operations(node, self.shapes, self.numbers, most_rounds)
        self.total += operations
        if not is_constant:
            return
        self.constants.update(node.output)
        self.folded += operations
        self.made_bytes += sum(size_of(self.types.get(name)) for name in node.output)
        self.is_open |= any(name and name not in self.shapes for name in node.output)

    def _is_constant(self, node: onnx.NodeProto) -> bool:
        if node.op_type in ("Shape", "Size"):
            return all(name in self.shapes for name in node.input)
        if not self.constants.issuperset(node.input):
            return False
        taken = {name for _, inner in subgraphs(node) for name in used_names(inner)}
        return all(name in self.constants or name not in self.types for name in taken)


def _operations(
    node: onnx.NodeProto, shapes: Shapes, numbers: _Numbers, most_rounds: int | None
) -> int:
    inner = sum(_body(graph, shapes, numbers, most_rounds) for _, graph in subgraphs(node))
    if not inner:
        return work(node, shapes)
    rounds = _rounds(node, shapes, numbers)
    return work(node, shapes) + inner * (1 if most_rounds and rounds > most_rounds else rounds)


def _body(
    graph: onnx.GraphProto, shapes: Shapes, numbers: _Numbers, most_rounds: int | None
) -> int:
    within = {**shapes, **_shapes(value_types(graph))}
    known = {**numbers, **{tensor.name: tensor for tensor in graph.initializer}}
    return sum(1 + _operations(node, within, known, most_rounds) for node in graph.node)


def _rounds(node: onnx.NodeProto, shapes: Shapes, numbers: _Numbers) -> int:
    """Return how often a node runs its graphs, as far as that is known without computing."""
    if node.op_type == "Loop" and node.input and node.input[0] in numbers:
        count = numpy_helper.to_array(numbers[node.input[0]])
        return max(1, int(count.item())) if count.size == 1 and count.dtype.kind in "iu" else 1
    if node.op_type == "Scan":
        return max((shapes.get(name, (1,)) or (1,))[0] for name in node.input) if node.input else 1
    return 1


def _shapes(types: Mapping[str, onnx.TypeProto]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)
        for name, kind in types.items()
        if is_static(kind)
    }


def _require(needed: int, limit: int, what: str, verb: str) -> None:
    if needed > limit:
        unit = "bytes" if what == "memory" else "operations"
        raise ModelRefused(
            f"the model is too costly: {verb} about {needed:.2g} {unit}",
            reason="too-costly",
            why=f"the limit is {limit:.2g}",
            remedy=f"if you trust the model, raise the limit with --limit-{what}",
            details={"needed": needed, "limit": limit, "what": what},
        )
