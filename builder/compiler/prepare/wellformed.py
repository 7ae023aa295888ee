"""Whether a file that parses is a graph at all: names, order and references, told by name.

Everything after this may rely on it: names are text, every value is made once and before it is
used, and functions end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import onnx

from builder.compiler.node_names import node_name, subgraphs
from builder.errors import ModelRefused

MOST_NODES = 200_000
"""Nodes of one model once its functions are written out."""

_EQUATION = re.compile(rb"[A-Za-z., ]*(->[A-Za-z. ]*)?")


def require_wellformed(model: onnx.ModelProto) -> None:
    """Raise ``ModelRefused`` ``invalid-graph`` or ``too-many-nodes`` naming the first fault."""
    _require_opset(model)
    _require_functions_end(model)
    _Scope(outer=None, where="the model").read(model.graph)


def _require_opset(model: onnx.ModelProto) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not 1 <= versions[0] <= newest:
        raise _invalid(
            f"it names operator set {versions} of ONNX, where one of 1 to {newest} is due"
        )


class _Scope:
    """One graph's names; those of the graphs around it are known in it too."""

    def __init__(self, *, outer: _Scope | None, where: str) -> None:
        self._outer = outer
        self._own: set[str] = set()
        self._where = where

    def read(self, graph: onnx.GraphProto) -> None:
        inputs = [_text(value.name, self._where) for value in graph.input]
        weights = [_text(tensor.name, self._where) for tensor in _weights(graph)]
        for names in (inputs, weights):
            _require_unique(names, self._where)
            self._own.update(names)
        for tensor in graph.initializer:
            _require_extents(tensor)
        for index, node in enumerate(graph.node):
            self._node(index, node)
        for output in graph.output:
            self._require_known(_text(output.name, self._where), f"an output of {self._where}")

    def _node(self, index: int, node: onnx.NodeProto) -> None:
        for text in (node.name, node.op_type, node.domain, *node.input, *node.output):
            _text(text, f"node {index} of {self._where}")
        name = node_name(index, node)
        for taken in node.input:
            self._require_known(taken, f"an input of node {name!r}")
        for attribute in node.attribute:
            _text(attribute.name, f"node {name!r}")
        if node.op_type == "Einsum":
            _require_equation(node, name)
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
    equation = next((a.s for a in node.attribute if a.name == "equation"), b"")
    if not _EQUATION.fullmatch(equation):
        raise _invalid(f"the equation of node {name!r} is {equation!r:.80}")


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
    if any(extent < 0 for extent in tensor.dims):
        raise ModelRefused(
            f"initialiser {tensor.name!r} has a negative extent",
            reason="malformed-tensor",
            why=f"its shape is {list(tensor.dims)}",
        )


def _require_functions_end(model: onnx.ModelProto) -> None:
    """Count the nodes that ``model`` has once its functions are written out."""
    functions = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    for name in functions:
        _size(name, functions, sizes, ())
    total = sum(sizes.get((node.domain, node.op_type), 1) for node in model.graph.node)
    if total > MOST_NODES:
        called = {(n.domain, n.op_type): n for n in model.graph.node}
        largest = max(called, key=lambda name: sizes.get(name, 1))
        raise ModelRefused(
            f"function {largest[1]!r} stands for more than {MOST_NODES} nodes",
            reason="too-many-nodes",
        )


def _size(
    name: tuple[str, str],
    functions: Mapping[tuple[str, str], onnx.FunctionProto],
    sizes: dict[tuple[str, str], int],
    callers: tuple[tuple[str, str], ...],
) -> int:
    """Return the nodes of a function with all that it calls, noting them in ``sizes``."""
    if name in callers or len(callers) > len(functions):
        raise _invalid(f"function {name[1]!r} calls itself")
    if name not in sizes:
        body = [(node.domain, node.op_type) for node in functions[name].node]
        inner = (
            _size(n, functions, sizes, (*callers, name)) if n in functions else 1 for n in body
        )
        sizes[name] = sum(inner)
    return sizes[name]


def _invalid(why: str) -> ModelRefused:
    return ModelRefused(
        "the model is not a valid graph",
        reason="invalid-graph",
        why=why,
        remedy="export it again, or see what is wrong: onnx.checker.check_model",
    )
