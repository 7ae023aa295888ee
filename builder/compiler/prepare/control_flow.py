"""If, Loop and Scan that constants decide, written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from builder.compiler.prepare.known import fold_known
from builder.compiler.prepare.rewriting import Rewrite, Site, rewrite
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.prepare.subgraphs import Copy, copied

MAX_ROUNDS = 1024
"""Loops of more rounds stay loops."""

MAX_TIMES = 64
"""How often a model is folded to learn whether a loop goes on."""

MAX_NODES = 100_000
"""A model that unrolling would make larger keeps its loops."""


def resolve_control_flow(skeleton: Skeleton) -> None:
    """Replace what can be decided, fold, and look again at what that has decided."""
    for _ in range(MAX_TIMES):
        if not any(node.op_type in TABLE for node in skeleton.model.graph.node):
            return
        fold_known(skeleton)
        if not rewrite(skeleton, TABLE):
            return


def _if(site: Site) -> bool:
    """If on a constant: the branch that is taken."""
    condition = site.value(0)
    if condition is None:
        return False
    branch = site.attribute("then_branch" if condition.item() else "else_branch")
    _identities(site, _body(site, branch, []).outputs)
    return True


def _loop(site: Site) -> bool:
    """Loop with a constant trip count and condition: its rounds, all at once or one by one."""
    body = site.attribute("body")
    count, condition = site.value(0), site.value(1)
    open_count = site.has(0) and count is None
    if open_count or (site.has(1) and condition is None):
        return False
    rounds = MAX_ROUNDS + 1 if count is None else int(count.item())
    if condition is not None and not condition.item():
        rounds = 0
    carried = list(site.node.input[2:])
    if _goes_on(body):
        if rounds > MAX_ROUNDS or rounds * len(body.node) > MAX_NODES:
            return False
        return _unrolled(site, body, carried, rounds)
    return _unrolled(site, body, carried, 0) if rounds == 0 else _peeled(site, body, carried, count)


def _goes_on(body: onnx.GraphProto) -> bool:
    """Say whether the body's condition is always true once it was."""
    name = body.output[0].name
    known = {tensor.name: tensor for tensor in body.initializer}
    for node in reversed(body.node):
        if name in node.output:
            if node.op_type == "Identity":
                name = node.input[0]
            elif node.op_type == "Constant" and node.attribute[0].name == "value":
                return bool(onnx.numpy_helper.to_array(node.attribute[0].t).item())
            else:
                return False
    if name in known:
        return bool(onnx.numpy_helper.to_array(known[name]).item())
    return len(body.input) > 1 and name == body.input[1].name


def _unrolled(site: Site, body: onnx.GraphProto, carried: list[str], rounds: int) -> bool:
    scanned: list[list[str]] = []
    for number in range(rounds):
        copy = _round(site, body, carried, site.constant(np.asarray(number, np.int64)))
        carried = list(copy.outputs[1 : 1 + len(carried)])
        scanned.append(list(copy.outputs[1 + len(carried) :]))
    _identities(site, carried)
    for position, name in enumerate(site.node.output[len(carried) :]):
        if rounds:
            _stack(site, [row[position] for row in scanned], 0, to=name)
        else:
            _nothing(site, body.output[1 + len(carried) + position], name)
    return True


def _round(site: Site, body: onnx.GraphProto, carried: Sequence[str], number: str) -> Copy:
    return _body(site, body, [number, site.constant(np.asarray(True)), *carried])


def _peeled(
    site: Site, body: onnx.GraphProto, carried: list[str], count: np.ndarray | None
) -> bool:
    """Run the first round before the loop: folding then tells whether there is another."""
    copy = _round(site, body, carried, site.constant(np.asarray(0, np.int64)))
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
    site.made.append(node)
    for piece, others, name in zip(scanned, rest, site.node.output[len(carried) :], strict=True):
        first = site.emit("Unsqueeze", piece, np.asarray([0], np.int64))
        site.emit("Concat", first, others, to=name, axis=0)
    return True


def _later(body: onnx.GraphProto) -> onnx.GraphProto:
    """Return a loop's body for when its first round is over: rounds are counted on."""
    later = onnx.GraphProto()
    later.CopyFrom(body)
    number = body.input[0].name
    later.input[0].name = f"{number}.left"
    one = onnx.numpy_helper.from_array(np.asarray(1, np.int64), f"{number}.one")
    later.initializer.append(one)
    later.node.insert(0, onnx.helper.make_node("Add", [f"{number}.left", one.name], [number]))
    return later


def _scan(site: Site) -> bool:
    """Scan over an axis of fixed length: its rounds, all at once."""
    body, count = site.attribute("body"), site.attribute("num_scan_inputs")
    states = list(site.node.input[: len(site.node.input) - count])
    axes = site.attribute("scan_input_axes", [0] * count)
    lengths = {
        (site.shape(len(states) + i) or (0,) * (axis + 1))[axis] for i, axis in enumerate(axes)
    }
    rounds = max(lengths)
    if len(lengths) != 1 or not 0 < rounds * len(body.node) <= MAX_NODES:
        return False
    scanned: list[Sequence[str]] = []
    for number in range(rounds):
        slices = [_slice(site, len(states) + i, axes[i], i, number, rounds) for i in range(count)]
        copy = _body(site, body, [*states, *slices])
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


def _body(site: Site, graph: onnx.GraphProto, inputs: Sequence[str]) -> Copy:
    """Add a copy of ``graph`` to the site."""
    names = dict(zip((value.name for value in graph.input), inputs, strict=True))
    copy = copied(
        graph,
        names,
        name=site.name,
        fresh=site.graph.fresh,
        skeleton=site.graph.skeleton,
    )
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


def _nothing(site: Site, piece: onnx.ValueInfoProto, to: str) -> None:
    """Make what no round has added to an empty constant."""
    tensor = piece.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    shape = [0, *(dim.dim_value for dim in tensor.shape.dim)]
    if to:
        site.constants[to] = np.zeros(shape, dtype)


TABLE: dict[str, Rewrite] = {"If": _if, "Loop": _loop, "Scan": _scan}
