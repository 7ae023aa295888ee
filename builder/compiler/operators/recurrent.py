"""RNN, GRU and LSTM: one product for all inputs, then a loop over time.

The inputs of all steps are multiplied by W at once, on the kernels for products. What depends on
the step before, h x R, is a loop whose innermost axis runs over the gates, so that it vectorises:
R is kept transposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler import tensors
from builder.compiler.operators import loops
from builder.compiler.operators.activations import Activation, activation
from builder.compiler.operators.cells import CELLS, Cell, Step
from builder.compiler.operators.node import Node, dtype_of

_BIAS, _LENGTHS, _HIDDEN, _CELL, _PEEPHOLES = 3, 4, 5, 6, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The sizes of a layer, and what its node says of how it works."""

    cell: Cell
    steps: int
    batch: int
    hidden: int
    directions: int
    dtype: str
    node: Node

    @property
    def gates(self) -> int:
        return self.cell.gates * self.hidden

    def is_backward(self, direction: int) -> bool:
        return direction == 1 or self.node.attribute("direction", "forward") == "reverse"

    def activations(self, direction: int) -> list[Activation] | None:
        """Return the activations of one direction, None where ONNX knows one of them not."""
        count = len(self.cell.activations)
        names = [_text(name) for name in self.node.attribute("activations", ())]
        names = names or list(self.cell.activations) * self.directions
        first = direction * count
        chosen = [
            activation(
                name,
                _nth(self.node.attribute("activation_alpha", ()), first + position),
                _nth(self.node.attribute("activation_beta", ()), first + position),
                self.dtype,
            )
            for position, name in enumerate(names[first : first + count])
        ]
        return None if None in chosen else [one for one in chosen if one is not None]


def rnn(node: Node) -> relax.Expr | None:
    """Convert RNN."""
    return _convert(node)


def gru(node: Node) -> relax.Expr | None:
    """Convert GRU."""
    return _convert(node)


def lstm(node: Node) -> relax.Expr | None:
    """Convert LSTM."""
    return _convert(node)


def _convert(node: Node) -> relax.Expr | None:
    layer = _layer(node)
    data = node.required(0)
    if node.attribute("layout", 0):
        data = relax.op.permute_dims(data, [1, 0, 2])
    directions = []
    for direction in range(layer.directions):
        found = layer.activations(direction)
        if found is None:
            return None
        directions.append(_direction(layer, direction, data, found))
    return _joined(layer, directions)


def _layer(node: Node) -> Layer:
    first, second, _ = node.shape(0)
    steps, batch = (second, first) if node.attribute("layout", 0) else (first, second)
    directions, _, hidden = node.shape(2)
    return Layer(
        cell=CELLS[node.operator],
        steps=steps,
        batch=batch,
        hidden=hidden,
        directions=directions,
        dtype=dtype_of(node.required(0)),
        node=node,
    )


def _direction(
    layer: Layer, direction: int, data: relax.Expr, functions: Sequence[Activation]
) -> list[relax.Expr]:
    """Return a direction's outputs [steps, batch, hidden] and its last states [batch, hidden]."""
    builder = layer.node.builder
    weight, recurrence = (_of(layer, position, direction) for position in (1, 2))
    by_input = relax.op.matmul(data, relax.op.permute_dims(weight, [1, 0]))
    bias, recurrent_bias = _biases(layer, direction)
    if bias is not None:
        by_input = relax.op.add(by_input, bias)
    operands = [
        builder.emit(by_input),
        builder.emit(relax.op.permute_dims(recurrence, [1, 0])),
        recurrent_bias,
        *(_of(layer, position, direction) for position in (_HIDDEN, _CELL, _PEEPHOLES)),
        layer.node.input(_LENGTHS),
    ]
    present = [position for position, operand in enumerate(operands) if operand is not None]

    def compute(*given: te.Tensor) -> Any:
        return _loop(layer, direction, dict(zip(present, given, strict=True)), functions)

    name = layer.node.operator.lower()
    call = layer.node.call(compute, *(operands[position] for position in present), name=name)
    result = builder.emit(call)
    states = 1 + layer.cell.states
    return [builder.emit(relax.TupleGetItem(result, position)) for position in range(states)]


def _of(layer: Layer, position: int, direction: int) -> relax.Expr | None:
    """Return one direction's part of an input that has directions in front (or after the batch)."""
    whole = layer.node.input(position)
    if whole is None:
        return None
    axis = 1 if layer.node.attribute("layout", 0) and position in (_HIDDEN, _CELL) else 0
    known = layer.node.value(position)
    if known is not None:
        return tensors.constant(np.ascontiguousarray(known.take(direction, axis)))
    index = relax.const(direction, "int64")
    return layer.node.builder.emit(relax.op.take(whole, index, axis=axis))


def _biases(layer: Layer, direction: int) -> tuple[relax.Expr | None, relax.Expr | None]:
    """Return what is added to the inputs' product, and what only to the recurrent one."""
    whole = _of(layer, _BIAS, direction)
    if whole is None:
        return None, None
    builder, gates = layer.node.builder, layer.gates
    known = tensors.value(whole)

    def part(first: int) -> relax.Expr:
        if known is not None:
            return tensors.constant(np.array(known[first : first + gates]))
        return relax.op.strided_slice(whole, [0], [first], [first + gates])

    if layer.cell.keeps_recurrent_bias(layer.node):
        return part(0), part(gates)
    if known is not None:
        return tensors.constant(known[:gates] + known[gates:]), None
    return builder.emit(relax.op.add(part(0), part(gates))), None


def _loop(
    layer: Layer, direction: int, given: dict[int, te.Tensor], functions: Sequence[Activation]
) -> Any:
    """Return the kernel: for each step and each row of the batch, the gates, then the states."""
    steps, batch, hidden, gates = layer.steps, layer.batch, layer.hidden, layer.gates
    dtype = layer.dtype
    order = sorted(given)
    states = layer.cell.states
    results = [
        ([steps, batch, hidden], dtype),
        *[([batch, hidden], dtype)] * states,
        ([gates], dtype),
    ]

    def body(*buffers: Any) -> None:
        operand = dict(zip(order, buffers, strict=False))
        output, *state = buffers[len(order) : len(order) + 1 + states]
        scratch = buffers[-1]
        with T.serial(0, batch) as b:
            for number in range(states):
                initial = operand.get(3 + number)
                with T.serial(0, hidden) as j:
                    state[number][b, j] = tirx.const(0, dtype) if initial is None else initial[b, j]
            length = T.Cast("int32", operand[6][b]) if 6 in operand else steps
            with T.serial(0, steps) as t:
                at = length - 1 - t if layer.is_backward(direction) else t
                step = Step(
                    row=b,
                    by_input=lambda j: operand[0][at, b, j],
                    weight=lambda k, j: operand[1][k, j],
                    bias=(lambda j: operand[2][j]) if 2 in operand else None,
                    peephole=(lambda j: operand[5][j]) if 5 in operand else None,
                    state=state,
                    gates=scratch,
                    hidden=hidden,
                    dtype=dtype,
                    functions=functions,
                    node=layer.node,
                )
                if 6 not in operand:
                    layer.cell.advance(step)
                    _write(output, state[0], at, b, hidden)
                else:
                    with T.If(t < length):
                        with T.Then():
                            layer.cell.advance(step)
                            _write(output, state[0], at, b, hidden)
                        with T.Else(), T.serial(0, hidden) as j:
                            output[t, b, j] = tirx.const(0, dtype)

    return loops.kernel(
        body, [given[position] for position in order], results, name=layer.node.operator.lower()
    )


def _write(output: Any, state: Any, at: Any, row: Any, hidden: int) -> None:
    with T.serial(0, hidden) as j:
        output[at, row, j] = state[row, j]


def _joined(layer: Layer, directions: Sequence[Sequence[relax.Expr]]) -> relax.Expr:
    """Return Y and the last states with their axis of directions where ONNX has it."""
    batch_first = bool(layer.node.attribute("layout", 0))

    def stacked(position: int, axis: int) -> relax.Expr:
        parts = [relax.op.expand_dims(results[position], axis) for results in directions]
        return parts[0] if len(parts) == 1 else relax.op.concat(parts, axis)

    outputs = [stacked(0, 1)]
    if batch_first:
        outputs[0] = relax.op.permute_dims(outputs[0], [2, 0, 1, 3])
    outputs += [stacked(1 + n, 1 if batch_first else 0) for n in range(layer.cell.states)]
    return relax.Tuple([layer.node.builder.normalize(output) for output in outputs])


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _nth(values: Sequence[float], position: int) -> float | None:
    return float(values[position]) if position < len(values) else None
