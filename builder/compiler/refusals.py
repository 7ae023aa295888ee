"""Which nodes of a model cannot be built, all at once, and what to do about each.

A survey looks at a model whose inputs are static and whose constants are folded: what is still
open then is decided by data, at run time.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from builder.compiler import advice
from builder.compiler.node_names import Placed, nodes
from builder.compiler.plan import DATA_TYPES
from builder.errors import ModelRefused

STANDARD_DOMAINS = ("", "ai.onnx")
CLASSICAL_DOMAIN = "ai.onnx.ml"
CLASSICAL_KEPT = ("SVMClassifier", "TreeEnsemble", "TreeEnsembleRegressor")
"""Its operators that have kernels; all others are written as ONNX's own, or work on texts."""
SHOWN = 5
"""Nodes that the one-line message names; ``details["nodes"]`` has them all."""
_NAME_SHOWN = 120

_FEW = 16
"""Numbers in an input that may be a setting rather than data."""

MOST_AXES = 32
"""Of one tensor: what the runtime's own files of tensors have room for."""

_CONTROL_FLOW = {
    "If": "its condition is computed at run time",
    "Loop": "its number of rounds is known at run time only, or is too large to unroll",
    "Scan": "it could not be unrolled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value as a node sees it. An extent is a number, or ``?`` where it is decided by data."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One node that cannot be built. ``path`` leads to it through nested graphs."""

    node: str
    operator: str
    domain: str
    opset: int
    path: tuple[str, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    reason: str
    why: str
    suggestion: str

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


Types = Mapping[str, onnx.TypeProto]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyor:
    """Describes the nodes of one model; ``types`` are those of its outermost graph's values."""

    opsets: Mapping[str, int]
    types: Types
    inputs: frozenset[str]
    producers: Mapping[str, onnx.NodeProto]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Surveyor:
        """Return the surveyor of a model whose shapes have been inferred."""
        opsets = {_domain(entry.domain): entry.version for entry in model.opset_import}
        return cls(
            opsets=opsets,
            types=value_types(model.graph),
            inputs=frozenset(value.name for value in model.graph.input),
            producers={name: node for node in model.graph.node for name in node.output},
        )

    def refusal(self, placed: Placed, reason: str, why: str) -> Refusal:
        """Return ``placed`` as refused."""
        node = placed.node
        return Refusal(
            node=placed.name,
            operator=node.op_type,
            domain=_domain(node.domain),
            opset=self.opsets.get(_domain(node.domain), 0),
            path=placed.path,
            inputs=tuple(self._value(name) for name in node.input if name),
            outputs=tuple(self._value(name) for name in node.output if name),
            reason=reason,
            why=self._why(node, reason, why),
            suggestion=self._suggestion(node, reason),
        )

    def _why(self, node: onnx.NodeProto, reason: str, why: str) -> str:
        # A converter speaks of its own types where it wants a constant.
        late = [name for name in advice.deciding(node) if self._sources(name)]
        if reason == "unconvertible-node" and late:
            return f"{late[0]!r} is known at run time only, and decides how it is compiled"
        return why

    def _suggestion(self, node: onnx.NodeProto, reason: str) -> str:
        if reason in advice.SETTLED and (settling := self._settling(node)):
            names = " ".join(f"--freeze {shlex.quote(f'{name}=VALUE')}" for name in settling)
            these = "these inputs never change" if len(settling) > 1 else "this input never changes"
            return f"if {these}, give its value: {names}"
        if reason in ("control-flow", "data-dependent-shape"):
            return advice.INSTEAD.get(node.op_type, advice.BY_REASON[reason])
        return advice.BY_REASON[reason]

    def _settling(self, node: onnx.NodeProto) -> list[str]:
        """Return the inputs that decide how ``node`` works, where they are few numbers.

        Larger ones, and fractions, are what a model computes with: nobody freezes those.
        """
        deciding = advice.deciding(node)
        found = dict.fromkeys(source for name in deciding for source in self._sources(name))
        return list(found) if all(self._is_setting(name) for name in found) else []

    def _sources(self, name: str) -> list[str]:
        """Return the model's inputs that a value follows from."""
        seen, waiting, found = {name}, [name], []
        while waiting:
            one = waiting.pop()
            if one in self.inputs:
                found.append(one)
            for taken in self.producers[one].input if one in self.producers else ():
                if taken and taken not in seen:
                    seen.add(taken)
                    waiting.append(taken)
        return found

    def _is_setting(self, name: str) -> bool:
        kind = self.types.get(name)
        if kind is None or not is_static(kind):
            return False
        tensor = kind.tensor_type
        whole = dtype_name(tensor.elem_type).startswith(("bool", "int", "uint"))
        return whole and math.prod(dim.dim_value for dim in tensor.shape.dim) <= _FEW

    def examine(self, placed: Placed) -> Refusal | None:
        """Return why ``placed`` cannot be built, as far as ONNX alone can tell."""
        found = self._operator(placed) or self._type(placed) or self._rank(placed)
        # Shapes inside a subgraph are those of one round: the node around it is the cause.
        if found is None and not placed.path:
            found = self._shape(placed)
        return found and self.refusal(placed, *found)

    def _operator(self, placed: Placed) -> tuple[str, str] | None:
        node, domain = placed.node, _domain(placed.node.domain)
        if domain == CLASSICAL_DOMAIN:
            return self._classical(placed)
        if domain not in STANDARD_DOMAINS:
            return "custom-domain", f"operators of {domain!r} are not ONNX's own"
        if node.op_type in _CONTROL_FLOW:
            return "control-flow", _CONTROL_FLOW[node.op_type]
        opset = self.opsets.get("", 1)
        if not onnx.defs.has(node.op_type, opset, ""):
            return "unknown-operator", f"ONNX has no such operator at opset {opset}"
        return None

    def _classical(self, placed: Placed) -> tuple[str, str] | None:
        node = placed.node
        if node.op_type in CLASSICAL_KEPT and all(map(self._is_static, node.output)):
            return None
        if any(map(self._is_text, node.input)):
            return "text", "it works on texts"
        return "unsupported-operator", "it is not written as operators that can be built"

    def _is_text(self, name: str) -> bool:
        kind = self.types.get(name)
        return kind is not None and kind.tensor_type.elem_type == onnx.TensorProto.STRING

    def _type(self, placed: Placed) -> tuple[str, str] | None:
        for name in (*placed.node.input, *placed.node.output):
            kind = self.types.get(name)
            if kind is None:
                continue
            held = kind.WhichOneof("value")
            if held not in ("tensor_type", None):
                return "unsupported-type", f"{name!r} is a {str(held).removesuffix('_type')}"
            element = kind.tensor_type.elem_type
            if element and dtype_name(element) not in DATA_TYPES:
                return "unsupported-type", f"{name!r} holds {dtype_name(element)} elements"
        return None

    def _rank(self, placed: Placed) -> tuple[str, str] | None:
        for name in (*placed.node.input, *placed.node.output):
            rank = len(self.types[name].tensor_type.shape.dim) if name in self.types else 0
            if rank > MOST_AXES:
                return "too-many-axes", f"{name!r} has {rank} axes, and {MOST_AXES} is the most"
        return None

    def _shape(self, placed: Placed) -> tuple[str, str] | None:
        """Blame a node whose inputs are static and whose outputs are not, not those after it."""
        node = placed.node
        if all(self._is_static(name) for name in node.input if name) and not all(
            self._is_static(name) for name in node.output if name
        ):
            return "data-dependent-shape", "the shape of its output depends on the data"
        return None

    def _is_static(self, name: str) -> bool:
        kind = self.types.get(name)
        return kind is not None and is_static(kind)

    def _value(self, name: str) -> Value:
        kind = self.types.get(name)
        if kind is None or not kind.HasField("tensor_type"):
            return Value(name=name, dtype="?", shape=None)
        tensor = kind.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") else "?" for d in tensor.shape.dim)
        return Value(
            name=name,
            dtype=element_name(tensor.elem_type),
            shape=shape if tensor.HasField("shape") else None,
        )


def element_name(element: int) -> str:
    """Return ONNX's name of an element type in lower case; ``type N`` for one that is none."""
    known = onnx.TensorProto.DataType
    return known.Name(element).lower() if element in known.values() else f"type {element}"


def dtype_name(element: int) -> str:
    """Return the name of an element type, numpy's where it has one for the same."""
    name = element_name(element)
    return {"float": "float32", "double": "float64"}.get(name, name)


def is_static(kind: onnx.TypeProto) -> bool:
    """Say whether a value is a tensor of known extents."""
    tensor = kind.tensor_type
    return tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)


def value_types(graph: onnx.GraphProto) -> dict[str, onnx.TypeProto]:
    """Return the types of a graph's values as far as they are written in it."""
    types = {value.name: value.type for value in (*graph.value_info, *graph.output, *graph.input)}
    make = onnx.helper.make_tensor_type_proto
    return types | {t.name: make(t.data_type, list(t.dims)) for t in graph.initializer}


def survey(model: onnx.ModelProto) -> tuple[Refusal, ...]:
    """Return every node of ``model`` that cannot be built, as far as ONNX alone can tell."""
    return tuple(_survey(model))


def _survey(model: onnx.ModelProto) -> Iterator[Refusal]:
    surveyor = Surveyor.of(model)
    for placed in nodes(model.graph):
        refusal = surveyor.examine(placed)
        if refusal is not None:
            yield refusal


def refused(refusals: Sequence[Refusal]) -> ModelRefused:
    """Return the one failure that names all ``refusals``, in the order of the model."""
    shown = ", ".join(f"{_short(e.operator)} ({_short(e.node)})" for e in refusals[:SHOWN])
    more = f" and {len(refusals) - SHOWN} more" if len(refusals) > SHOWN else ""
    first = refusals[0]
    many = len({entry.reason for entry in refusals}) > 1
    return ModelRefused(
        f"{len(refusals)} nodes cannot be built: {shown}{more}"
        if len(refusals) > 1
        else f"node {_short(first.node)!r} ({_short(first.operator)}) cannot be built",
        reason="unsupported-nodes" if many else first.reason,
        why=f"{_short(first.node)}: {first.why}" if len(refusals) > 1 else first.why,
        remedy=first.suggestion,
        details={"nodes": [entry.to_json() for entry in refusals]},
    )


def too_many_axes(what: str, rank: int) -> ModelRefused:
    """Return the refusal of an input or a weight of too high a rank."""
    return ModelRefused(
        f"{what} has {rank} axes",
        reason="too-many-axes",
        why=f"{MOST_AXES} is the most",
        remedy=advice.BY_REASON["too-many-axes"],
    )


def _short(name: str) -> str:
    return name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}…"


def _domain(domain: str) -> str:
    return "" if domain in STANDARD_DOMAINS else domain
