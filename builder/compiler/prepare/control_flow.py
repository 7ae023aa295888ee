"""If, Loop and Scan that constants decide, written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import onnx
from onnx import numpy_helper

from builder.compiler.node_names import nodes, subgraphs
from builder.compiler.prepare.known import fold_known
from builder.compiler.prepare.rewriting import Array, Rewrite, Site, rewrite
from builder.compiler.prepare.simplify import constant_value
from builder.compiler.prepare.sizes import refuse_oversized
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.prepare.subgraphs import Copy, copied

MAX_ROUNDS = 1024
"""Loops of more rounds stay loops."""

MAX_TIMES = 64
"""How often a model is folded to learn whether a loop goes on."""

MAX_NODES = 100_000
"""A loop that would make the model larger, loops in it included, stays a loop."""


def resolve_control_flow(skeleton: Skeleton) -> None:
    """Replace what can be decided, fold, and look again at what that has decided.

    Raises ``ModelRefused`` as ``refuse_oversized`` does, for what loops make of their values.
    """
    if _resolve(skeleton, _Unrolling()):
        refuse_oversized(skeleton)


def _resolve(skeleton: Skeleton, unrolling: _Unrolling) -> int:
    """Return how many nodes were written out."""
    taken = 0
    for _ in range(MAX_TIMES):
        if not any(node.op_type in unrolling.table for node in skeleton.model.graph.node):
            break
        fold_known(skeleton)
        unrolling.room = MAX_NODES - sum(1 for _ in nodes(skeleton.model.graph))
        found = rewrite(skeleton, unrolling.table)
        taken += found
        if not found:
            break
    return taken


class _Unrolling:
    """Writes loops out, as long as the model has ``room`` for their nodes."""

    def __init__(self) -> None:
        self.room = 0
        self.table: Mapping[str, Rewrite] = {"If": _if, "Loop": self._loop, "Scan": self._scan}
        self._pieces: dict[str, str] = {}  # what a loop goes on to collect -> a piece of it
        self._shared = _Shared()

    def _loop(self, site: Site) -> bool:
        """Loop with a constant trip count and condition: its rounds, all at once or one by one."""
        body, rounds = site.attribute("body"), _rounds(site)
        if rounds is None:
            return False
        if rounds == 0:
            return self._skipped(site, body)
        at_once = _goes_on(body)
        if at_once and rounds > MAX_ROUNDS:
            return False
        if not self._has_room(site, body, rounds if at_once else 1):
            return False
        return _unrolled(site, body, rounds, self._shared) if at_once else self._peeled(site, body)

    def _scan(self, site: Site) -> bool:
        """Scan over an axis of fixed length: its rounds, all at once."""
        body, rounds = site.attribute("body"), _scan_length(site)
        # A round cuts out what it takes, and gives what it makes an axis.
        around = len(body.input) + len(body.output)
        if not rounds or not self._has_room(site, body, rounds, around):
            return False
        return _scanned(site, body, rounds)

    def _has_room(self, site: Site, body: onnx.GraphProto, rounds: int, around: int = 0) -> bool:
        """Say whether so many rounds fit, each with nodes ``around`` it, and take their room."""
        wanted = rounds * (_size(body, site.graph.value) + around)
        fits = wanted <= self.room
        self.room -= wanted if fits else 0
        return fits

    def _skipped(self, site: Site, body: onnx.GraphProto) -> bool:
        """No round at all: what is carried stays as it came, and nothing is collected."""
        carried = site.node.input[2:]
        _identities(site, carried)
        pieces = zip(
            site.node.output[len(carried) :], body.output[1 + len(carried) :], strict=False
        )
        return all(self._nothing(site, piece, name) for name, piece in pieces if name)

    def _nothing(self, site: Site, piece: onnx.ValueInfoProto, name: str) -> bool:
        """Make ``name`` no pieces at all; False where nothing tells what shape they would have."""
        tensor = piece.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            shape = [0, *(dim.dim_value for dim in tensor.shape.dim)]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            site.constants[name] = np.zeros(shape, dtype)
        elif name in self._pieces:
            start = np.asarray([0], np.int64)
            site.emit("Slice", self._pieces[name], start, start, start, to=name)
        else:
            return False
        return True

    def _peeled(self, site: Site, body: onnx.GraphProto) -> bool:
        """Run the first round before the loop: folding then tells whether there is another."""
        carried, count = site.node.input[2:], site.value(0)
        copy = _round(site, body, carried, 0, _constants(site, body), self._shared)
        carried_on = copy.outputs[1 : 1 + len(carried)]
        scanned = copy.outputs[1 + len(carried) :]
        left = "" if count is None else site.constant(np.asarray(count.item() - 1, np.int64))
        rest = [site.graph.fresh(f"{site.name}.rest") for _ in scanned]
        node = onnx.helper.make_node(
            "Loop",
            [left, copy.outputs[0], *carried_on],
            [*site.node.output[: len(carried)], *rest],
            name=site.name,
            body=_later(body),
        )
        first = [site.emit("Unsqueeze", piece, np.asarray([0], np.int64)) for piece in scanned]
        site.made.append(node)
        results = site.node.output[len(carried) :]
        for piece, others, name in zip(first, rest, results, strict=True):
            self._pieces[others] = piece
            site.emit("Concat", piece, others, to=name, axis=0)
        return True


class _Shared:
    """Constants that all rounds of all loops are given: thousands of equal ones fold slowly."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, int], str] = {}

    def constant(self, site: Site, value: Array) -> str:
        """Return the name of the constant ``value``, a number or a truth, in the model."""
        content = value.dtype.name, int(value.item())
        if content not in self._names:
            self._names[content] = site.graph.add(f"{site.name}.round", value)
        return self._names[content]


_ValueOf = Callable[[str], Array | None]


def _size(body: onnx.GraphProto, value_of: _ValueOf) -> int:
    """Return the nodes of a body, those of loops in it once for each round that is known."""
    own: dict[str, Callable[[], Array | None]] = {
        tensor.name: partial(numpy_helper.to_array, tensor) for tensor in body.initializer
    }
    own |= {n.output[0]: partial(constant_value, n) for n in body.node if n.op_type == "Constant"}

    def value(name: str) -> Array | None:
        return own[name]() if name in own else value_of(name)

    return sum(
        1 + _repeats(node, value) * sum(_size(inner, value) for _, inner in subgraphs(node))
        for node in body.node
    )


def _repeats(node: onnx.NodeProto, value_of: _ValueOf) -> int:
    count = value_of(node.input[0]) if node.op_type == "Loop" and node.input else None
    return 1 if count is None else max(1, int(count.item()))


def _if(site: Site) -> bool:
    """If on a constant: the branch that is taken."""
    condition = site.value(0)
    if condition is None:
        return False
    branch = site.attribute("then_branch" if condition.item() else "else_branch")
    _identities(site, _body(site, branch, [], _constants(site, branch)).outputs)
    return True


def _rounds(site: Site) -> int | None:
    """Return how many rounds a Loop makes at most; None where data decide it."""
    if not site.is_known(0, 1):
        return None
    count, condition = site.value(0), site.value(1)
    if condition is not None and not condition.item():
        return 0
    return MAX_ROUNDS + 1 if count is None else max(0, int(count.item()))


def _goes_on(body: onnx.GraphProto) -> bool:
    """Say whether the body's condition is always true once it was."""
    name = body.output[0].name
    known = {tensor.name: tensor for tensor in body.initializer}
    for node in reversed(body.node):
        if name in node.output:
            if node.op_type == "Identity":
                name = node.input[0]
            else:
                value = constant_value(node) if node.op_type == "Constant" else None
                return value is not None and bool(value.item())
    if name in known:
        return bool(numpy_helper.to_array(known[name]).item())
    return len(body.input) > 1 and name == body.input[1].name


def _unrolled(site: Site, body: onnx.GraphProto, rounds: int, shared: _Shared) -> bool:
    carried = list(site.node.input[2:])
    constants = _constants(site, body)
    scanned: list[list[str]] = []
    for number in range(rounds):
        copy = _round(site, body, carried, number, constants, shared)
        carried = list(copy.outputs[1 : 1 + len(carried)])
        scanned.append(list(copy.outputs[1 + len(carried) :]))
    _identities(site, carried)
    for position, name in enumerate(site.node.output[len(carried) :]):
        _stack(site, [row[position] for row in scanned], 0, to=name)
    return True


def _round(
    site: Site,
    body: onnx.GraphProto,
    carried: Sequence[str],
    number: int,
    constants: Mapping[str, str],
    shared: _Shared,
) -> Copy:
    number_and_on = np.asarray(number, np.int64), np.asarray(True)
    first = [shared.constant(site, value) for value in number_and_on]
    return _body(site, body, [*first, *carried], constants)


def _later(body: onnx.GraphProto) -> onnx.GraphProto:
    """Return a loop's body for when its first round is over: rounds are counted on."""
    later = onnx.GraphProto()
    later.CopyFrom(body)
    number = body.input[0].name
    later.input[0].name = f"{number}.left"
    one = numpy_helper.from_array(np.asarray(1, np.int64), f"{number}.one")
    later.initializer.append(one)
    later.node.insert(0, onnx.helper.make_node("Add", [f"{number}.left", one.name], [number]))
    return later


def _scan_length(site: Site) -> int | None:
    """Return the rounds of a Scan; None where the extents of its inputs do not tell them."""
    count = site.attribute("num_scan_inputs")
    first = len(site.node.input) - count
    axes = site.attribute("scan_input_axes", [0] * count)
    lengths = {(site.shape(first + i) or (0,) * (axis + 1))[axis] for i, axis in enumerate(axes)}
    return lengths.pop() if len(lengths) == 1 else None


def _scanned(site: Site, body: onnx.GraphProto, rounds: int) -> bool:
    count = site.attribute("num_scan_inputs")
    states = list(site.node.input[: len(site.node.input) - count])
    axes = site.attribute("scan_input_axes", [0] * count)
    constants = _constants(site, body)
    scanned: list[Sequence[str]] = []
    for number in range(rounds):
        slices = [_slice(site, len(states) + i, axes[i], i, number, rounds) for i in range(count)]
        copy = _body(site, body, [*states, *slices], constants)
        states = list(copy.outputs[: len(states)])
        scanned.append(copy.outputs[len(states) :])
    _identities(site, states)
    results = site.node.output[len(states) :]
    directions = site.attribute("scan_output_directions", [0] * len(results))
    for position, name in enumerate(results):
        row = [pieces[position] for pieces in scanned]
        axis = site.attribute("scan_output_axes", [0] * len(results))[position]
        if name:
            _stack(site, row[::-1] if directions[position] else row, axis, to=name)
    return True


def _slice(site: Site, position: int, axis: int, number: int, step: int, rounds: int) -> str:
    backward = site.attribute("scan_input_directions", [0] * (number + 1))[number]
    at = rounds - 1 - step if backward else step
    return site.emit("Gather", site.node.input[position], np.asarray(at, np.int64), axis=axis)


def _constants(site: Site, graph: onnx.GraphProto) -> Mapping[str, str]:
    """Make a subgraph's initialisers the model's, once for all its rounds; return their names."""
    return {
        tensor.name: site.graph.add(f"{site.name}.{tensor.name}", numpy_helper.to_array(tensor))
        for tensor in graph.initializer
    }


def _body(
    site: Site, graph: onnx.GraphProto, inputs: Sequence[str], constants: Mapping[str, str]
) -> Copy:
    """Add a copy of ``graph`` to the site."""
    names = dict(zip((value.name for value in graph.input), inputs, strict=True))
    copy = copied(graph, {**names, **constants}, name=site.name, fresh=site.graph.fresh)
    site.made.extend(copy.nodes)
    return copy


def _identities(site: Site, values: Sequence[str]) -> None:
    for value, name in zip(values, site.node.output, strict=False):
        if name:
            site.emit("Identity", value, to=name)


def _stack(site: Site, pieces: Sequence[str], axis: int, *, to: str) -> None:
    if to:
        axes = np.asarray([axis], np.int64)
        site.emit("Concat", *(site.emit("Unsqueeze", p, axes) for p in pieces), to=to, axis=axis)
