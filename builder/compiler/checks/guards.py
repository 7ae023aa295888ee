"""The operands of one model's nodes, checked where nothing proves what they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from tvm import relax

from builder.compiler import tensors
from builder.compiler.checks import intervals, operands
from builder.compiler.checks.checked import Mark, checked
from builder.compiler.checks.intervals import Interval, is_integer
from builder.compiler.checks.operands import Demand
from builder.compiler.node_names import Placed
from builder.compiler.operators.node import Array, Node, dtype_of

_LOOKED_INTO = 1 << 20
"""Elements of a constant; what a larger one holds is not looked for."""


class OutOfRange(Exception):
    """A constant is no index, length or divisor that its node can have."""


@dataclass(slots=True, kw_only=True)
class Guards:
    """What is known of the integers in each tensor so far, from node to node in their order.

    ``emit`` binds an expression to a variable that tells the node it belongs to.
    """

    emit: Callable[[relax.Expr], relax.Var]
    _known: dict[str, Interval] = field(default_factory=dict)
    _passed: set[str] = field(default_factory=set)
    """Tensors that passed a check without bounds."""

    def guard(self, placed: Placed, node: Node) -> Mapping[str, relax.Expr]:
        """Return those of a node's operands that have to be checked before use, as checked ones.

        Raises ``OutOfRange`` for a constant that the node cannot have.
        """
        made: dict[str, relax.Expr] = {}
        for demand in operands.demands(node):
            name, operand = _named(placed.node, demand.position), node.input(demand.position)
            if operand is None or not isinstance(operand.ty, relax.TensorType):
                continue
            values = node.value(demand.position)
            if values is not None:
                _refuse_outside(values, demand, name)
            elif not self._is_proven(name, operand, demand):
                made[name] = self.emit(checked(operand, _mark(placed.name, name, demand)))
                self._remember(name, operand, demand)
        return made

    def learn(self, node: onnx.NodeProto, converted: Node, made: Mapping[str, relax.Expr]) -> None:
        """Note what a node's outputs, of which ``made`` are the values, can hold."""
        given = [
            None if value is None else self._interval(name, value)
            for name, value in zip(node.input, converted.inputs, strict=False)
        ]
        for number, name in enumerate(node.output):
            value = made.get(name)
            if value is not None and (dtype := _whole(value)):
                self._known[name] = intervals.of_output(converted, number, dtype, given)

    def _interval(self, name: str, value: relax.Expr) -> Interval | None:
        dtype = _whole(value)
        if dtype is None:
            return None
        found = tensors.value(value)
        if found is not None and 0 < found.size <= _LOOKED_INTO:
            return intervals.of_array(found)
        return self._known.get(name, intervals.of_type(dtype))

    def _is_proven(self, name: str, operand: relax.Expr, demand: Demand) -> bool:
        held = self._interval(name, operand)
        if held is not None and demand.holds_for(held):
            return True
        return not demand.bounds and name in self._passed

    def _remember(self, name: str, operand: relax.Expr, demand: Demand) -> None:
        """Note what an operand can hold behind its check."""
        if not demand.bounds:
            self._passed.add(name)
            return
        held = self._interval(name, operand)
        assert held is not None  # only integers have bounds
        low = min(bound.low for bound in demand.bounds)
        high = max(bound.high for bound in demand.bounds)
        self._known[name] = held.cut(Interval(low, high))


def _named(node: onnx.NodeProto, position: int) -> str:
    return str(node.input[position]) if position < len(node.input) else ""


def _whole(value: relax.Expr) -> str | None:
    """Return a tensor's type where its elements are integers or bool."""
    if not isinstance(value.ty, relax.TensorType):
        return None
    dtype = dtype_of(value)
    return dtype if dtype == "bool" or is_integer(dtype) else None


def _mark(node: str, tensor: str, demand: Demand) -> Mark:
    bounds = tuple((bound.low, bound.high) for bound in demand.bounds)
    return Mark(what=demand.what, bounds=bounds, node=node, tensor=tensor)


def _refuse_outside(values: Array, demand: Demand, name: str) -> None:
    if not demand.bounds:
        allowed = np.isfinite(values) if values.dtype.kind == "f" else values != 0
        if not allowed.all():
            raise OutOfRange(f"{name!r} holds the {demand.what} {values[~allowed].flat[0]}")
        return
    lowest, highest = (
        np.asarray([getattr(bound, end) for bound in demand.bounds]) for end in ("low", "high")
    )
    outside = np.argwhere((values < lowest) | (values > highest))
    if len(outside):
        at = tuple(int(place) for place in outside[0])
        bound = demand.bounds[at[-1] if len(demand.bounds) > 1 else 0]
        raise OutOfRange(
            f"{name!r} holds the {demand.what} {int(values[at])}, which must be "
            f"{bound.low} to {bound.high}"
        )
