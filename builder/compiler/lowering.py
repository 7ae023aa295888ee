"""Relax main -> StaticPlan: every binding becomes a kernel call, an alias, or nothing.

Buffers are symbolic first. Once the whole program is known, a temporary that is an output moves to
the caller's buffer, parts of concatenations to their place in the whole, and the others share one
arena.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Literal

import tvm
from tvm import relax

from builder.compiler import arena, joins, provenance, tensors
from builder.compiler.blame import undecidable
from builder.compiler.checks import checked
from builder.compiler.kernels import joining
from builder.compiler.plan import (
    DATA_TYPES,
    Check,
    KernelCall,
    OutputCopy,
    Place,
    StaticPlan,
    View,
)
from builder.compiler.weights import WeightsWriter
from builder.errors import ModelRefused
from builder.model.tensor import Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """Memory that some tensor lives in: an input, a span of the weights, or a temporary."""

    kind: Literal["input", "weights", "temporary"]
    number: int  # input number, byte offset in the weights, or temporary number
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A typed look at a whole buffer."""

    buffer: Buffer
    shape: tuple[int, ...]
    dtype: str


Value = Tensor | tuple["Value", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    kernel: str
    nodes: provenance.Nodes
    tensors: tuple[Tensor, ...]
    results: int
    join: joins.Join | None


def lower(
    mod: tvm.IRModule, signature: Signature, node_names: Sequence[str], weights: WeightsWriter
) -> StaticPlan:
    """Return the plan of ``mod``'s main, adding its constants to ``weights`` in order of first use.

    ``mod`` holds call_tir bindings only (the end of ``passes.PIPELINE``). Raises ``ModelRefused``
    naming the node where a binding cannot be decided before run time.
    """
    program = _Program(weights=weights, node_names=node_names, joining=joining.of_spans(mod))
    program.read(mod["main"])
    _expect(program.outputs, signature)
    return _place(program, signature)


def _expect(outputs: Sequence[Tensor], signature: Signature) -> None:
    """Raise ``ModelRefused`` where kernels would write other than the caller's buffers hold."""
    for tensor, spec in zip(outputs, signature.outputs, strict=True):
        if (tensor.shape, tensor.dtype) != (spec.shape, spec.dtype):
            raise ModelRefused(
                f"the conversion of what {spec.name!r} follows from gives {tensor.dtype}"
                f"{list(tensor.shape)}, where the model says {spec.dtype}{list(spec.shape)}",
                reason="converted-otherwise",
                remedy="please report it; see whether another operator set is converted rightly",
            )


@dataclass(slots=True, kw_only=True)
class _Program:
    """The calls of main over symbolic buffers, in order; ``joining`` kernels only copy spans.

    ``checks`` tell what to check of an operand when so many of the calls are done.
    """

    weights: WeightsWriter
    node_names: Sequence[str]
    joining: Set[str]
    calls: list[_Call] = field(default_factory=list)
    checks: list[tuple[Tensor, int, checked.Mark]] = field(default_factory=list)
    temporaries: list[Buffer] = field(default_factory=list)
    outputs: tuple[Tensor, ...] = ()
    _values: dict[relax.Var, Value] = field(default_factory=dict)

    def read(self, main: relax.Function) -> None:
        for number, param in enumerate(main.params):
            shape, dtype = _typed(param)
            buffer = Buffer(kind="input", number=number, size_bytes=_size(shape, dtype))
            self._values[param] = Tensor(buffer=buffer, shape=shape, dtype=dtype)
        for binding in provenance.bindings(main):
            self._values[binding.var] = self._value(binding.value, binding.var)
        result = self._value(main.body.body, None)
        self.outputs = _tensors(result if isinstance(result, tuple) else (result,))

    def _value(self, value: relax.Expr, var: relax.Var | None) -> Value:
        match value:
            case relax.Var():
                return self._values[value]
            case relax.Tuple():
                return tuple(self._value(item, None) for item in value.fields)
            case relax.TupleGetItem():
                fields = self._value(value.tuple_value, None)
                assert isinstance(fields, tuple)
                return fields[int(value.index)]
            case tvm.ir.GenericConst():
                return self._constant(tensors.value(value))
            case relax.Call() if value.op.same_as(_CALL_TIR):
                return self._call(value, var)
            case relax.Call() if value.op.same_as(_RESHAPE):
                return self._alias(self._value(value.args[0], None), value)
            case relax.Call() if value.op.same_as(_CHECKED):
                return self._checked(value)
        raise self._undecidable(value, var)

    def _constant(self, array: Any) -> Tensor:
        span = self.weights.add(array)
        buffer = Buffer(kind="weights", number=span.offset, size_bytes=span.size_bytes)
        return Tensor(buffer=buffer, shape=span.shape, dtype=span.dtype)

    def _alias(self, source: Value, value: relax.Call) -> Tensor:
        assert isinstance(source, Tensor)
        shape, dtype = _typed(value)
        return Tensor(buffer=source.buffer, shape=shape, dtype=dtype)

    def _checked(self, value: relax.Call) -> Tensor:
        operand = self._value(value.args[0], None)
        assert isinstance(operand, Tensor)
        self.checks.append((operand, len(self.calls), checked.mark_of(value)))
        return operand

    def _call(self, value: relax.Call, var: relax.Var | None) -> Value:
        operands = tuple(self._value(item, None) for item in value.args[1].fields)
        declared = value.ty_args[0]
        many = isinstance(declared, relax.TupleType)
        results = tuple(self._temporary(ty) for ty in (declared.fields if many else [declared]))
        kernel, tensors = value.args[0].name_hint, _tensors((*operands, *results))
        self.calls.append(
            _Call(
                kernel=kernel,
                nodes=provenance.nodes_of(var) if var is not None else (),
                tensors=tensors,
                results=len(results),
                join=_join(tensors) if kernel in self.joining else None,
            )
        )
        return results if many else results[0]

    def _temporary(self, ty: relax.TensorType) -> Tensor:
        shape, dtype = _extents(ty)
        buffer = Buffer(
            kind="temporary", number=len(self.temporaries), size_bytes=_size(shape, dtype)
        )
        self.temporaries.append(buffer)
        return Tensor(buffer=buffer, shape=shape, dtype=dtype)

    def _undecidable(self, value: relax.Expr, var: relax.Var | None) -> ModelRefused:
        nodes = [self.node_names[i] for i in (provenance.nodes_of(var) if var is not None else ())]
        what = getattr(getattr(value, "op", None), "name", type(value).__name__)
        return undecidable(what, nodes)


_CALL_TIR = tvm.ir.Op.get("relax.call_tir")
_RESHAPE = tvm.ir.Op.get("relax.reshape")
_CHECKED = tvm.ir.Op.get(checked.OPERATOR)


def _tensors(values: Sequence[Value]) -> tuple[Tensor, ...]:
    """Narrow values that call_tir and a model's outputs only ever have as plain tensors."""
    assert all(isinstance(value, Tensor) for value in values)
    return tuple(value for value in values if isinstance(value, Tensor))


def _typed(value: relax.Expr) -> tuple[tuple[int, ...], str]:
    return _extents(value.ty)


def _extents(ty: relax.TensorType) -> tuple[tuple[int, ...], str]:
    return tuple(int(extent) for extent in ty.shape), str(ty.dtype)


def _size(shape: tuple[int, ...], dtype: str) -> int:
    return math.prod(shape) * DATA_TYPES[dtype].size_bytes


def _join(tensors: Sequence[Tensor]) -> joins.Join | None:
    """Return what a joining kernel does, if it joins nothing but temporaries."""
    if any(tensor.buffer.kind != "temporary" for tensor in tensors):
        return None
    *parts, whole = (tensor.buffer.number for tensor in tensors)
    return joins.Join(parts=tuple(parts), whole=whole)


def _place(program: _Program, signature: Signature) -> StaticPlan:
    written = _outputs_in_place(program.outputs)
    joined, offsets, arena_bytes = _arranged(program, {buffer.number for buffer in written})

    def view(tensor: Tensor) -> View:
        buffer = tensor.buffer
        place, index, offset = Place.ARENA, 0, 0
        if buffer.kind == "input":
            place, index = Place.INPUT, buffer.number
        elif buffer.kind == "weights":
            place, offset = Place.WEIGHTS, buffer.number
        else:
            home = joined.home(buffer.number)
            root = program.temporaries[home.buffer]
            offset = home.start
            if root in written:
                place, index = Place.OUTPUT, written[root]
            else:
                offset += offsets[root.number]
        return View(place=place, index=index, offset=offset, shape=tensor.shape, dtype=tensor.dtype)

    kept = [call.join not in joined.without_copy for call in program.calls]
    return StaticPlan(
        signature=signature,
        calls=tuple(
            KernelCall(
                kernel=call.kernel,
                nodes=tuple(program.node_names[node] for node in call.nodes),
                views=tuple(map(view, call.tensors)),
                results=call.results,
            )
            for call in compress(program.calls, kept)
        ),
        checks=tuple(
            Check(
                view=view(operand),
                before=sum(kept[:before]),
                **dataclasses.asdict(mark),
            )
            for operand, before, mark in program.checks
        ),
        copies=tuple(
            OutputCopy(source=view(tensor), output=number)
            for number, tensor in enumerate(program.outputs)
            if written.get(tensor.buffer) != number
        ),
        arena_bytes=arena_bytes,
        weights_bytes=program.weights.size_bytes,
        weights_xxh64=program.weights.xxh64,
    )


def _outputs_in_place(outputs: Sequence[Tensor]) -> dict[Buffer, int]:
    """Return the temporaries that live in a caller's buffer: each in the first that shows it."""
    written: dict[Buffer, int] = {}
    for number, tensor in enumerate(outputs):
        if tensor.buffer.kind == "temporary":
            written.setdefault(tensor.buffer, number)
    return written


def _arranged(program: _Program, elsewhere: Set[int]) -> tuple[joins.Joined, dict[int, int], int]:
    """Return what is joined without copies, where buffers lie in the arena, and its size.

    A whole lives longer than some of its parts: where that made the arena larger, all are copied.
    """
    found = [call.join for call in program.calls if call.join is not None]
    sizes = [buffer.size_bytes for buffer in program.temporaries]
    joined = joins.joined(found, sizes, elsewhere)
    plans = [(each, *_plan_arena(program, each, elsewhere)) for each in (joined, joins.NONE)]
    return min(plans, key=lambda plan: plan[2])


def _plan_arena(
    program: _Program, joined: joins.Joined, elsewhere: Set[int]
) -> tuple[dict[int, int], int]:
    """Return the offset of each temporary that is no part of another, and the arena's size."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for position, call in enumerate(program.calls):
        for tensor in call.tensors if call.join not in joined.without_copy else ():
            if tensor.buffer.kind == "temporary":
                buffer = joined.home(tensor.buffer.number).buffer
                first.setdefault(buffer, position)
                last[buffer] = position
    placed = [buffer for buffer in first if buffer not in elsewhere]
    lifetimes = [
        arena.Lifetime(
            size_bytes=program.temporaries[buffer].size_bytes,
            first=first[buffer],
            last=last[buffer],
        )
        for buffer in placed
    ]
    offsets, size = arena.assign(lifetimes)
    return dict(zip(placed, offsets, strict=True)), size
