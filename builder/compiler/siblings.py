"""Merge small convolutions of one image, such as the heads of a detector.

One output channel costs as much as a block of them. Convolutions that read the same image and do
not fill their blocks become one, and so does what follows each of them in step: biases,
activations, depthwise convolutions. The channels are taken apart where the steps end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from builder.compiler import provenance, tensors
from builder.compiler.blocking import elementwise
from builder.compiler.blocking.forms import is_operator, shape
from builder.compiler.kernels.conv import round_up

Bindings = tuple[relax.Binding, ...]
_CONV = "relax.nn.conv2d"


def merge(mod: tvm.IRModule, block: int) -> tvm.IRModule:
    """Return ``mod`` with main's sibling convolutions merged where that saves blocks."""
    main = mod["main"]
    graph = _Graph(main)
    families = [_Family(members, graph) for members in _families(graph, block)]
    if not families:
        return mod
    mod = mod.clone()
    mod["main"] = _Merger(families).visit_expr(main)
    return mod


class _Graph:
    """Main's variables: who reads each, and what is constant."""

    def __init__(self, main: relax.Function) -> None:
        self.bindings = tuple(provenance.bindings(main))
        self._constants = {each.var: tensors.value(each.value) for each in self.bindings}
        self._readers: dict[relax.Var, list[relax.Binding]] = {}
        for binding in self.bindings:
            for var in relax.analysis.free_vars(binding.value):
                self._readers.setdefault(var, []).append(binding)
        self._results = set(relax.analysis.free_vars(main.body.body))

    def readers(self, var: relax.Var) -> Sequence[relax.Binding]:
        return self._readers.get(var, ())

    def only_reader(self, var: relax.Var) -> relax.Binding | None:
        readers = self.readers(var)
        return readers[0] if len(readers) == 1 and var not in self._results else None

    def value(self, expression: relax.Expr) -> npt.NDArray[Any] | None:
        """Return the value of a constant, or of a variable bound to one; None for others."""
        if isinstance(expression, relax.Var):
            return self._constants.get(expression)
        return tensors.value(expression)


def _families(graph: _Graph, block: int) -> Iterator[Bindings]:
    """Yield convolutions of one image that need fewer blocks together than apart."""
    alike: dict[Any, list[relax.Binding]] = {}
    for binding in graph.bindings:
        if _is_small(binding.value, graph, block):
            image = binding.value.args[0]
            alike.setdefault((image, *_sliding(binding.value)), []).append(binding)
    for members in alike.values():
        channels = [shape(member.var)[1] for member in members]
        apart = sum(round_up(each, block) for each in channels)
        if round_up(sum(channels), block) < apart:
            yield tuple(members)


def _is_small(value: relax.Expr, graph: _Graph, block: int) -> bool:
    return (
        is_operator(value)
        and value.op.name == _CONV
        and isinstance(value.args[0], relax.Var)
        and graph.value(value.args[1]) is not None
        and int(value.attrs.groups) == 1
        and str(value.attrs.data_layout) == "NCHW"
        and shape(value)[1] % block != 0
        and shape(value)[1] < 2 * block
    )


def _sliding(conv: relax.Call) -> tuple[Any, ...]:
    """Return what convolutions must share to be merged: window, layouts and types."""
    attrs = conv.attrs
    numbers = (*attrs.strides, *attrs.padding, *attrs.dilation, *shape(conv.args[1])[2:])
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout), str(conv.ty.dtype))
    return (*(int(number) for number in numbers), *layouts)


@dataclass(frozen=True, slots=True)
class _Step:
    """Operators that do the same to every sibling, and the one that does it to all at once."""

    members: Bindings
    apply: Callable[[relax.Expr], relax.Expr]


class _Family:
    """Siblings and all the steps that they take together."""

    def __init__(self, convolutions: Bindings, graph: _Graph) -> None:
        self.image = convolutions[0].value.args[0]
        self.steps = [_Step(convolutions, _convolution(convolutions, graph, 1))]
        while (step := _next(self.steps[-1].members, graph)) is not None:
            self.steps.append(step)
        self.channels = [shape(member.var)[1] for member in convolutions]

    @property
    def ends(self) -> tuple[relax.Var, ...]:
        return tuple(member.var for member in self.steps[-1].members)

    def hint(self) -> str:
        nodes = {n for step in self.steps for m in step.members for n in provenance.nodes_of(m.var)}
        return "onnx_" + "_".join(str(node) for node in sorted(nodes)) + "_n"


def _convolution(
    members: Bindings, graph: _Graph, groups: int
) -> Callable[[relax.Expr], relax.Expr]:
    weights = _joined([graph.value(member.value.args[1]) for member in members], 0)
    attrs = members[0].value.attrs

    def apply(data: relax.Expr) -> relax.Expr:
        return relax.op.nn.conv2d(
            data,
            weights,
            strides=[int(n) for n in attrs.strides],
            padding=[int(n) for n in attrs.padding],
            dilation=[int(n) for n in attrs.dilation],
            groups=groups,
        )

    return apply


def _joined(arrays: Sequence[npt.NDArray[Any] | None], axis: int) -> relax.Expr:
    return tensors.constant(np.concatenate([each for each in arrays if each is not None], axis))


def _next(members: Bindings, graph: _Graph) -> _Step | None:
    """Return the step that all siblings take next, if each has but one reader and all agree."""
    readers = [graph.only_reader(member.var) for member in members]
    followers = tuple(reader for reader in readers if reader and is_operator(reader.value))
    if len(followers) < len(members) or len({each.value.op.name for each in followers}) > 1:
        return None
    values = [follower.value for follower in followers]
    pairs = zip(members, values, strict=True)
    if not all(value.args[0].same_as(member.var) for member, value in pairs):
        return None
    return _unary(followers) or _binary(followers, graph) or _depthwise(followers, graph)


def _unary(members: Bindings) -> _Step | None:
    call = members[0].value
    if call.op.name not in elementwise.UNARY or len(call.args) > 1:
        return None
    alike = len({str(member.value.attrs) for member in members}) == 1
    apply = lambda data: relax.Call(call.op, [data], call.attrs)  # noqa: E731
    return _Step(members, apply) if alike else None


def _binary(members: Bindings, graph: _Graph) -> _Step | None:
    """Join constants that are one number a channel."""
    call = members[0].value
    if call.op.name not in elementwise.BINARY:
        return None
    operands = [graph.value(member.value.args[1]) for member in members]
    expected = [(1, shape(member.var)[1], 1, 1) for member in members]
    if [None if each is None else each.shape for each in operands] != expected:
        return None
    joined = _joined(operands, 1)
    return _Step(members, lambda data: relax.Call(call.op, [data, joined], call.attrs))


def _depthwise(members: Bindings, graph: _Graph) -> _Step | None:
    if not all(_is_depthwise(member.value, graph) for member in members):
        return None
    if len({_sliding(member.value) for member in members}) > 1:
        return None
    total = sum(shape(member.var)[1] for member in members)
    return _Step(members, _convolution(members, graph, total))


def _is_depthwise(value: relax.Call, graph: _Graph) -> bool:
    if value.op.name != _CONV or graph.value(value.args[1]) is None:
        return False
    channels = shape(value.args[0])[1]
    return shape(value.args[1])[:2] == (channels, 1) and int(value.attrs.groups) == channels


@relax.expr_functor.mutator
class _Merger(relax.PyExprMutator):  # type: ignore[misc]
    """Write a family where its first member was; leave out all the others."""

    def __init__(self, families: Sequence[_Family]) -> None:
        super().__init__()
        self._first = {family.steps[0].members[0].var: family for family in families}
        self._merged = {
            member.var for family in families for step in family.steps for member in step.members
        }

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        family = self._first.get(binding.var)
        if family is not None:
            self._write(family)
        elif binding.var not in self._merged:
            super().visit_var_binding_(binding)

    def _write(self, family: _Family) -> None:
        value, hint = self.visit_expr(family.image), family.hint()
        for step in family.steps:
            value = self.builder_.emit(step.apply(value), hint)
        start = 0
        for end, channels in zip(family.ends, family.channels, strict=True):
            part = relax.op.strided_slice(value, [1], [start], [start + channels])
            self.set_var_remap(end, self.builder_.emit(part, str(end.name)))
            start += channels
