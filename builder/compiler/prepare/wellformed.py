"""Whether a file that parses is a graph at all: names, order and references, told by name.

Everything after this may rely on it: names are text, every value is made once and before it is
used, and functions end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import onnx

from builder.compiler.node_names import node_name, nodes, subgraphs
from builder.compiler.refusals import MOST_AXES, too_many_axes
from builder.errors import ModelRefused

MOST_NODES = 200_000
"""Nodes of one model once its functions are written out."""

_Name = tuple[str, str, str]
"""What calls a function: domain, name, overload."""

_DEEPEST_CALL = 100
"""Of functions in functions: what ONNX's own inliner takes."""

_LONGEST_TERM = 64
"""Letters of a term of an equation: one for each axis, and no tensor has so many."""

_STEPS = frozenset({"strides", "dilations", "kernel_shape"})
"""Of windows that slide over an image."""


def require_wellformed(model: onnx.ModelProto) -> None:
    """Raise ``ModelRefused`` ``invalid-graph`` or ``too-many-nodes`` naming the first fault."""
    _require_opset(model)
    for function in model.functions:
        where = f"function {_text(function.name, 'the functions')!r}"
        _Scope(outer=None, where=where).read_function(function)
    _require_functions_end(model)
    _Scope(outer=None, where="the model").read(model.graph)


def _require_opset(model: onnx.ModelProto) -> None:
    versions: dict[str, list[int]] = {"": []}
    for entry in model.opset_import:
        versions.setdefault("" if entry.domain == "ai.onnx" else entry.domain, []).append(
            entry.version
        )
    for domain, several in versions.items():
        if len(several) > 1:
            numbers = " and ".join(map(str, several[:4]))
            raise _invalid(f"it names operator sets {numbers} of {domain or 'ONNX'!r} at once")
    newest = onnx.defs.onnx_opset_version()
    if len(versions[""]) != 1 or not 1 <= versions[""][0] <= newest:
        raise _invalid(
            f"it names operator set {versions['']} of ONNX, where one of 1 to {newest} is due"
        )


class _Scope:
    """One graph's names; those of the graphs around it are known in it too."""

    def __init__(self, *, outer: _Scope | None, where: str) -> None:
        self._outer = outer
        self._own: set[str] = set()
        self._where = where

    def read(self, graph: onnx.GraphProto) -> None:
        inputs = [_text(value.name, self._where) for value in graph.input]
        for value in graph.input:
            if (rank := len(value.type.tensor_type.shape.dim)) > MOST_AXES:
                raise too_many_axes(f"input {value.name!r}", rank)
        weights = [_text(tensor.name, self._where) for tensor in _weights(graph)]
        for names in (inputs, weights):
            _require_unique(names, self._where)
            self._own.update(names)
        for tensor in graph.initializer:
            _require_extents(tensor)
        self._require_names(graph.node)
        self._body(graph.node, [output.name for output in graph.output])

    def _require_names(self, body: Iterable[onnx.NodeProto]) -> None:
        """Refuse what ONNX Runtime will: two nodes of one graph, both called the same."""
        seen: set[str] = set()
        for node in body:
            if node.name and node.name in seen:
                raise _invalid(f"two nodes of {self._where} are called {node.name!r:.80}")
            seen.add(node.name)

    def read_function(self, function: onnx.FunctionProto) -> None:
        for text in (function.domain, function.overload, *function.attribute):
            _text(text, self._where)
        for default in function.attribute_proto:
            _text(default.name, self._where)
        inputs = [_text(name, self._where) for name in function.input]
        _require_unique(inputs, self._where)
        self._own.update(inputs)
        self._body(function.node, function.output)

    def _body(self, body: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> None:
        for index, node in enumerate(body):
            self._node(index, node)
        for output in outputs:
            self._require_known(_text(output, self._where), f"an output of {self._where}")

    def _node(self, index: int, node: onnx.NodeProto) -> None:
        called = (node.op_type, node.domain, node.overload)
        for text in (node.name, *called, *node.input, *node.output):
            _text(text, f"node {index} of {self._where}")
        name = node_name(index, node)
        for taken in node.input:
            self._require_known(taken, f"an input of node {name!r}")
        for attribute in node.attribute:
            _text(attribute.name, f"node {name!r}")
            _text(attribute.ref_attr_name, f"node {name!r}")
        if node.op_type == "Einsum":
            _require_equation(node, name)
        _require_steps(node, name)
        for attribute_name, graph in subgraphs(node):
            _Scope(outer=self, where=f"{name!r}.{attribute_name}").read(graph)
        for made in node.output:
            if made and made in self._own:
                raise _invalid(f"node {name!r} makes {made!r}, which something else makes too")
            self._own.add(made)

    def _require_known(self, name: str, what: str) -> None:
        if name and not self._knows(name):
            raise _invalid(f"{what} is {name!r}, which nothing before it makes")

    def _knows(self, name: str) -> bool:
        return name in self._own or (self._outer is not None and self._outer._knows(name))


def _weights(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from (sparse.values for sparse in graph.sparse_initializer)


def _require_equation(node: onnx.NodeProto, name: str) -> None:
    # ONNX's own shape inference never returns from some equations that are none.
    equation = next((a for a in node.attribute if a.name == "equation"), None)
    if equation is None or equation.ref_attr_name:
        return
    operands, _, result = equation.s.replace(b" ", b"").partition(b"->")
    terms = operands.split(b",")
    if len(terms) != len(node.input) or not all(map(_is_term, (*terms, result))):
        raise _invalid(f"the equation of node {name!r} is {equation.s!r:.80}")


def _is_term(term: bytes) -> bool:
    """Say whether a term is letters, around three dots at most once."""
    head, _, tail = term.partition(b"...")
    return len(term) <= _LONGEST_TERM and (not head + tail or (head + tail).isalpha())


def _require_steps(node: onnx.NodeProto, name: str) -> None:
    # Libraries divide by them before anybody looks: the process would die of SIGFPE.
    for attribute in node.attribute:
        if attribute.name in _STEPS and any(step < 1 for step in attribute.ints):
            raise _invalid(f"{attribute.name} of node {name!r} are {list(attribute.ints)[:8]}")


def _text(name: Any, where: str) -> str:
    # protobuf gives bytes where a name is not UTF-8, and C ends names at a NUL.
    if not isinstance(name, str) or "\0" in name:
        raise _invalid(f"a name in {where} is no text: {name!r:.80}")
    return name


def _require_unique(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            raise _invalid(f"two inputs or weights of {where} are called {name!r}, or nothing")
        seen.add(name)


def _require_extents(tensor: onnx.TensorProto) -> None:
    if len(tensor.dims) > MOST_AXES:
        raise too_many_axes(f"initialiser {tensor.name!r}", len(tensor.dims))
    if any(extent < 0 for extent in tensor.dims):
        raise ModelRefused(
            f"initialiser {tensor.name!r} has a negative extent",
            reason="malformed-tensor",
            why=f"its shape is {list(tensor.dims)}",
        )


def _require_functions_end(model: onnx.ModelProto) -> None:
    """Count the nodes that ``model`` has once its functions are written out."""
    sizes = _sizes(model.functions)
    called = _calls(model.graph)
    if sum(sizes.get(name, 1) for name in called) > MOST_NODES:
        _, largest, _ = max(called, key=lambda name: sizes.get(name, 1))
        raise ModelRefused(
            f"function {largest!r} stands for more than {MOST_NODES} nodes",
            reason="too-many-nodes",
        )


def _sizes(functions: Iterable[onnx.FunctionProto]) -> dict[_Name, int]:
    """Return the nodes of each function with all that it calls, counted up to the most."""
    bodies: dict[_Name, list[_Name]] = {}
    for function in functions:
        name = (function.domain, function.name, function.overload)
        if name in bodies:
            raise _invalid(f"two functions are called {function.name!r}")
        bodies[name] = _calls(function)
    sizes: dict[_Name, int] = {}
    depths: dict[_Name, int] = {}
    for name in _callees_first(bodies):
        total = sum(sizes.get(called, 1) for called in bodies[name])
        sizes[name] = min(total, MOST_NODES + 1)
        depths[name] = 1 + max((depths.get(called, 0) for called in bodies[name]), default=0)
        _require_shallow(name, depths[name])
    return sizes


def _callees_first(bodies: Mapping[_Name, Iterable[_Name]]) -> list[_Name]:
    calls = {name: bodies.keys() & set(body) for name, body in bodies.items()}
    try:
        return list(TopologicalSorter(calls).static_order())
    except CycleError as error:
        _, name, _ = error.args[1][0]
        raise _invalid(f"function {name!r} calls itself") from None


def _require_shallow(name: _Name, depth: int) -> None:
    if depth > _DEEPEST_CALL:
        raise ModelRefused(
            f"function {name[1]!r} leads through more than {_DEEPEST_CALL} functions",
            reason="too-deep",
        )


def _calls(graph: onnx.GraphProto | onnx.FunctionProto) -> list[_Name]:
    """Return what every node of ``graph``, however deep, calls: an operator or a function."""
    called = (placed.node for placed in nodes(graph))
    return [(node.domain, node.op_type, node.overload) for node in called]


def _invalid(why: str) -> ModelRefused:
    return ModelRefused(
        "the model is not a valid graph",
        reason="invalid-graph",
        why=why,
        remedy="export it again, or see what is wrong: onnx.checker.check_model",
    )
