"""Which side of a jump a bundle may be on, and how near it was.

Where a bundle and ONNX Runtime take different sides of a jump, both may be right. What is right is
known piece by piece: a jump's result must follow from the operands that the bundle computed. Where
those lie inside a fused kernel, and so are not seen, an element may be on either side if ONNX
Runtime's operands lie no farther from the jump than a right kernel's may be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.distance import differences
from builder.compiler.jumping import BY_ELEMENT, BY_ORDER, may_jump
from builder.compiler.node_names import node_name
from builder.compiler.prepare.tolerance import tolerance
from builder.model.bisection import Jump
from builder.payload.judging import Array, limits, off
from builder.payload.pieces import Pieces

Mask = npt.NDArray[np.bool_]

_ARITHMETIC = ("GridSample", "Mod", "QuantizeLinear")
"""Operators that divide or scale before they jump."""

_UNITS = 4
_NEARER = (1e-3,)
_MOST_AT_ONCE = 6
"""Jumps of one kernel whose sides are tried; more prove nothing."""


def jumps_in(pieces: Pieces, name: str) -> tuple[int, ...]:
    """Return the nodes that jump between known values and ``name``."""
    nodes = pieces.model.graph.node
    return tuple(at for at in pieces.positions(name) if may_jump(nodes[at], pieces.types))


def first_jumps(pieces: Pieces, name: str) -> tuple[int, ...]:
    """Return those of ``jumps_in`` that follow from no other of them."""
    found, nodes = jumps_in(pieces, name), pieces.model.graph.node

    def follows(at: int) -> bool:
        unknown = (n for n in nodes[at].input if n in pieces.producers and n not in pieces.known)
        return any(not set(found).isdisjoint(pieces.positions(n)) for n in unknown)

    return tuple(at for at in found if not follows(at))


def explained(pieces: Pieces, name: str, computed: Array, expected: Array) -> Mask:
    """Return which elements of ``name`` may be as ``computed`` though they are not as expected.

    The jumps of its piece lie that near.
    """
    graph, found = pieces.model.graph, jumps_in(pieces, name)
    if not 0 < len(found) <= _MOST_AT_ONCE:
        return np.zeros(computed.shape, np.bool_)
    last = graph.node[found[-1]]
    if name in last.output and last.op_type in BY_ORDER:
        if last.input[0] in pieces.known:
            return np.zeros(computed.shape, np.bool_)  # what it chose among is seen
        operand = next(iter(_operands(pieces, [last.input[0]])))
        return _all_but_ties(last, name, operand, computed, expected)
    sides = [expected, *_sides(pieces, name, [graph.node[at] for at in found])]
    if sides[0].dtype == np.bool_:
        return np.asarray(np.any([side == computed for side in sides], axis=0))
    least, most = np.minimum.reduce(sides), np.maximum.reduce(sides)
    nearest = np.clip(computed, least, most)
    return np.asarray((least != most) & ~off(computed, nearest))


def _operands(pieces: Pieces, names: Sequence[str]) -> Iterator[Array]:
    """Yield operands: as they are known, else as ONNX Runtime computes them."""
    constants = {tensor.name: tensor for tensor in pieces.model.graph.initializer}
    for name in names:
        if name in pieces.known:
            yield pieces.known[name]
        elif name in constants:
            yield onnx.numpy_helper.to_array(constants[name], str(pieces.weights))
        else:
            yield next(pieces.values([name]))


def _sides(pieces: Pieces, name: str, nodes: Sequence[onnx.NodeProto]) -> Iterator[Array]:
    """Yield what ``name`` is where jumps take their lower or their upper side, one or all."""
    nodes = [node for node in nodes if node.op_type in BY_ELEMENT]
    # A remainder is largest right below its jump, and not as far below as operands may be.
    near = _NEARER if any(node.op_type == "Mod" for node in nodes) else ()
    for scale in (1.0, *near) if nodes else ():
        pairs = {node.output[0]: _both_sides(pieces, node, scale) for node in nodes}
        chosen = [{n: pair[side] for n, pair in pairs.items()} for side in range(2)]
        if len(pairs) > 1:
            chosen += [{n: pair[side]} for n, pair in pairs.items() for side in range(2)]
        for instead in chosen:
            yield instead[name] if name in instead else next(pieces.values([name], instead=instead))


def _both_sides(pieces: Pieces, node: onnx.NodeProto, scale: float) -> tuple[Array, Array]:
    """Return a jump's result where what decides is as low, and as high, as it may be."""
    names = [name for name in node.input if name]
    operands = dict(zip(names, _operands(pieces, names), strict=True))
    deciding = [node.input[at] for at in BY_ELEMENT[node.op_type]]
    slack = {name: scale * _slack(pieces, node, name, operands[name]) for name in deciding}
    if node.op_type == "Equal":
        one, other = (operands[name].astype(np.float64) for name in deciding)
        near = np.abs(one - other) <= slack[deciding[0]] + slack[deciding[1]]
        return np.zeros_like(near), near
    alone = Pieces(model=pieces.model, weights=pieces.weights, known=operands)
    results = []
    for sign in (-1, 1):
        moved = {
            name: (operands[name] + sign * (-1) ** turn * slack[name]).astype(operands[name].dtype)
            for turn, name in enumerate(deciding)
        }
        results.append(next(alone.values([node.output[0]], instead=moved)))
    return results[0], results[1]


def _slack(pieces: Pieces, node: onnx.NodeProto, name: str, operand: Array) -> Array:
    """Return how far an operand may be from what ONNX Runtime has in its place."""
    if operand.dtype.kind != "f":
        return np.zeros(operand.shape, operand.dtype)
    weights = {tensor.name for tensor in pieces.model.graph.initializer}
    if name not in pieces.known and name not in weights:
        return limits(operand, tolerance(operand))
    # It is seen: all that may differ is the arithmetic before the jump itself.
    units = _UNITS if node.op_type in _ARITHMETIC else 0
    return np.asarray(units * np.spacing(np.abs(operand)))


def _all_but_ties(
    node: onnx.NodeProto, name: str, operand: Array, computed: Array, expected: Array
) -> Mask:
    """Return which choices are as good as the right ones; none where one is made twice."""
    if node.op_type not in ("ArgMax", "ArgMin", "TopK") or name != node.output[-1]:
        return np.zeros(computed.shape, np.bool_)
    axis = _axis(node, operand)
    ours, theirs = (_along(each, operand, axis) for each in (computed, expected))
    if ours.min(initial=0) < 0 or ours.max(initial=0) >= operand.shape[axis] or _twice(ours, axis):
        return np.zeros(computed.shape, np.bool_)
    picked, right = (np.take_along_axis(operand, each, axis) for each in (ours, theirs))
    return np.asarray(~off(picked, right)).reshape(computed.shape)


def _along(indices: Array, operand: Array, axis: int) -> Array:
    whole = indices if indices.ndim == operand.ndim else np.expand_dims(indices, axis)
    return whole.astype(np.int64)


def _twice(indices: Array, axis: int) -> bool:
    ordered = np.sort(indices, axis)
    return bool((np.diff(ordered, axis=axis) == 0).any())


def describe(ours: Pieces, theirs: Pieces, at: int, shown: str) -> Jump:
    """Return how many elements of a node's result took the other side, and how near they were.

    ``shown`` is a known value behind it, whose elements count where the result is not known.
    """
    node = ours.model.graph.node[at]
    result = [name for name in node.output if name][-1]
    hidden = result not in ours.known
    here, there = (next(_operands(each, [shown if hidden else result])) for each in (ours, theirs))
    other = off(here, there) if here.dtype.kind == "f" else here != there
    operands = [next(_operands(each, [node.input[0]])) for each in (ours, theirs)]
    if hidden:
        difference = float(differences(*operands).max(initial=0.0))
    else:
        difference = _difference(node, operands, (here, there), other)
    return Jump(
        node=node_name(at, node),
        operator=node.op_type,
        elements=int(other.sum()),
        of=other.size,
        difference=difference,
    )


def _difference(
    node: onnx.NodeProto, operands: Sequence[Array], results: Sequence[Array], other: Mask
) -> float:
    """Return how little decided: between what was picked, else between the operands themselves."""
    here, there = operands
    if node.op_type in ("ArgMax", "ArgMin", "TopK") and results[0].dtype.kind == "i":
        axis = _axis(node, there)
        picked = [np.take_along_axis(there, _along(r, there, axis), axis) for r in results]
        return float(differences(*picked).max(initial=0.0))
    apart = differences(here, there)
    if apart.shape == other.shape and other.any():
        apart = apart[other]
    return float(apart.max(initial=0.0))


def _axis(node: onnx.NodeProto, operand: Array) -> int:
    usual = -1 if node.op_type == "TopK" else 0
    return next((a.i for a in node.attribute if a.name == "axis"), usual) % operand.ndim
