"""One step of RNN, GRU and LSTM, as loops over the hidden units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators.activations import Activation
from builder.compiler.operators.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of one row sees.

    ``by_input`` holds the inputs' part of the gates; ``weight`` (k, j) is the recurrent weight of
    gate j for unit k; ``bias`` and ``peephole`` are None where there are none. ``state`` are the
    buffers [batch, hidden] to be advanced, ``gates`` is scratch.
    """

    row: Any
    by_input: Callable[[Any], Any]
    weight: Callable[[Any, Any], Any]
    bias: Callable[[Any], Any] | None
    peephole: Callable[[Any], Any] | None
    state: Sequence[Any]
    gates: Any
    hidden: int
    dtype: str
    functions: Sequence[Activation]
    node: Node

    def clipped(self, value: Any) -> Any:
        """Return ``value`` within the layer's bound, where it has one."""
        bound = self.node.attribute("clip")
        if not bound:
            return value
        limit = tirx.const(float(bound), self.dtype)
        return tirx.max(tirx.min(value, limit), tirx.const(0, self.dtype) - limit)

    def start(self, first: int, count: int) -> None:
        """Set ``count`` gates from ``first`` to their inputs' part."""
        with T.serial(0, count) as j:
            self.gates[first + j] = self.by_input(first + j)

    def accumulate(self, first: int, count: int, unit: Callable[[Any], Any]) -> None:
        """Add ``unit(k)`` x R to ``count`` gates from ``first``."""
        with T.serial(0, self.hidden) as k, T.serial(0, count) as j:
            self.gates[first + j] = self.gates[first + j] + unit(k) * self.weight(k, first + j)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A kind of recurrent layer: gates and states per unit, default activations, and a step."""

    gates: int
    states: int
    activations: tuple[str, ...]
    advance: Callable[[Step], None]
    keeps_recurrent_bias: Callable[[Node], bool] = lambda _node: False


def _advance_rnn(step: Step) -> None:
    (hidden,) = step.state
    step.start(0, step.hidden)
    step.accumulate(0, step.hidden, lambda k: hidden[step.row, k])
    with T.serial(0, step.hidden) as j:
        hidden[step.row, j] = step.functions[0](step.clipped(step.gates[j]))


def _advance_lstm(step: Step) -> None:
    """Gates lie in the order input, output, forget, cell; peepholes input, output, forget."""
    hidden, cell = step.state
    size, row = step.hidden, step.row
    gate, squash, show = step.functions
    step.start(0, 4 * size)
    step.accumulate(0, 4 * size, lambda k: hidden[row, k])

    def open_gate(number: int, peephole: int, j: Any, memory: Any) -> Any:
        value = step.gates[number * size + j]
        if step.peephole is not None:
            value = value + step.peephole(peephole * size + j) * memory
        return gate(step.clipped(value))

    coupled = bool(step.node.attribute("input_forget", 0))
    with T.serial(0, size) as j:
        before = cell[row, j]
        step.gates[j] = open_gate(0, 0, j, before)
        if coupled:
            step.gates[2 * size + j] = tirx.const(1, step.dtype) - step.gates[j]
        else:
            step.gates[2 * size + j] = open_gate(2, 2, j, before)
        fresh = squash(step.clipped(step.gates[3 * size + j]))
        cell[row, j] = step.gates[2 * size + j] * before + step.gates[j] * fresh
        hidden[row, j] = open_gate(1, 1, j, cell[row, j]) * show(cell[row, j])


def _resets_after_product(node: Node) -> bool:
    return bool(node.attribute("linear_before_reset", 0))


def _advance_gru(step: Step) -> None:
    """Gates lie in the order update, reset, hidden."""
    (hidden,) = step.state
    size, row = step.hidden, step.row
    gate, squash = step.functions
    zero = tirx.const(0, step.dtype)
    after = _resets_after_product(step.node)

    def bias(j: Any) -> Any:
        return zero if step.bias is None else step.bias(j)

    step.start(0, 2 * size)
    step.accumulate(0, 2 * size, lambda k: hidden[row, k])
    with T.serial(0, 2 * size) as j:
        added = bias(j) if after else zero
        step.gates[j] = gate(step.clipped(step.gates[j] + added))
    if after:
        with T.serial(0, size) as j:
            step.gates[2 * size + j] = bias(2 * size + j)
        step.accumulate(2 * size, size, lambda k: hidden[row, k])
        with T.serial(0, size) as j:
            step.gates[2 * size + j] = (
                step.by_input(2 * size + j) + step.gates[size + j] * step.gates[2 * size + j]
            )
    else:
        step.start(2 * size, size)
        step.accumulate(2 * size, size, lambda k: step.gates[size + k] * hidden[row, k])
    with T.serial(0, size) as j:
        update = step.gates[j]
        fresh = squash(step.clipped(step.gates[2 * size + j]))
        hidden[row, j] = (tirx.const(1, step.dtype) - update) * fresh + update * hidden[row, j]


CELLS: Mapping[str, Cell] = {
    "RNN": Cell(gates=1, states=1, activations=("Tanh",), advance=_advance_rnn),
    "GRU": Cell(
        gates=3,
        states=1,
        activations=("Sigmoid", "Tanh"),
        advance=_advance_gru,
        keeps_recurrent_bias=_resets_after_product,
    ),
    "LSTM": Cell(gates=4, states=2, activations=("Sigmoid", "Tanh", "Tanh"), advance=_advance_lstm),
}
"""ONNX operator -> its cell."""
