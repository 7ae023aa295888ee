"""What a dump proves where results jump: dumps are of a right bundle that rounds otherwise, or of
one with a wrong kernel in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.node_names import node_name
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.model.bisection import Bisection
from builder.payload.bisect import bisect
from builder.payload.pieces import Pieces

Array = npt.NDArray[Any]
Bend = Callable[[Array], Array]
SIDE, PICKED = 10, 20


def values(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def detector(depth: int = 3, seed: int = 0) -> onnx.ModelProto:
    """Return convolutions, scores that all but tie, the best of them, and the boxes they choose.

    A second head, ``class``, has nothing to do with the choice.
    """
    weights: dict[str, Array] = {
        f"w{i}": values(8, 8, 3, 3, seed=seed + i) / 9 for i in range(depth)
    }
    weights |= {"ws": values(1, 8, 1, 1) * np.float32(2e-5), "wb": values(4, 8, 1, 1, seed=9)}
    weights |= {"wc": values(2, 8, 1, 1, seed=8), "k": np.array([PICKED], np.int64)}
    weights |= {"flat": np.array([-1], np.int64), "rows": np.array([4, -1], np.int64)}
    nodes, last = [], "x"
    for i in range(depth):
        nodes.append(conv(last, f"w{i}", f"c{i}", pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Tanh", [f"c{i}"], [f"r{i}"], name=f"r{i}"))
        last = f"r{i}"
    nodes += [
        conv(last, "ws", "logits"),
        helper.make_node("Sigmoid", ["logits"], ["scores"], name="scores"),
        helper.make_node("Reshape", ["scores", "flat"], ["row"], name="row"),
        helper.make_node("TopK", ["row", "k"], ["best", "which"], name="topk"),
        conv(last, "wb", "boxes"),
        helper.make_node("Reshape", ["boxes", "rows"], ["corners"], name="corners"),
        helper.make_node("Gather", ["corners", "which"], ["y"], name="gather", axis=1),
        conv(last, "wc", "class"),
    ]
    outputs = {"best": [PICKED], "y": [4, PICKED], "class": [1, 2, SIDE, SIDE]}
    return made(nodes, {"x": [1, 8, SIDE, SIDE]}, outputs, weights)


def conv(data: str, weight: str, name: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Conv", [data, weight], [name], name=name, **attributes)


def made(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, list[int]],
    outputs: Mapping[str, list[int]],
    weights: Mapping[str, Array],
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, kind, s) for n, s in outputs.items()],
        [numpy_helper.from_array(w, n) for n, w in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rounding(seed: int = 1, size: float = 3e-7) -> Bend:
    """Return what another order of summing does: each element is off by a few units."""
    dice = np.random.default_rng(seed)

    def bend(value: Array) -> Array:
        noise = dice.uniform(-size, size, value.shape) * np.abs(value).max(initial=0.0)
        return np.asarray(value + noise).astype(value.dtype)

    return bend


def bisected(
    folder: Path,
    model: onnx.ModelProto,
    bent: Mapping[str, Bend],
    *,
    hidden: Collection[str] = (),
) -> Bisection:
    """Bisect the dump of a bundle that computes each node from its own values, bent so.

    Values that are ``hidden`` lie inside the kernel of the node after them.
    """
    onnx.save(model, folder / "m.onnx")
    (place := folder / "prepared").mkdir()
    prepare(folder / "m.onnx", seed=0, output=place, log=lambda _: None)
    graph = onnx.load(place / "model.onnx", load_external_data=False)
    spec = read_signature(place).inputs[0]
    known: dict[str, Array] = {spec.name: np.load(place / f"check/inputs/{spec.file}.npy")}
    pieces = Pieces(model=graph, weights=place, known=known)
    (dump := folder / "dump").mkdir()
    tensors, inside = [], []
    for at, node in enumerate(graph.graph.node):
        inside.append(node_name(at, node))
        for result, name in enumerate(node.output):
            (value,) = pieces.values([name])
            known[name] = bent[name](value) if name in bent else value
            if name in hidden:
                continue
            np.save(dump / f"{at}-{result}.npy", known[name])
            entry = {"file": f"{at}-{result}", "kernel": f"k{at}", "dtype": value.dtype.name}
            tensors.append(entry | {"nodes": list(inside)})
        inside = inside if node.output[0] in hidden else []
    (dump / "dump.json").write_text(json.dumps({"tensors": tensors}))
    (found := folder / "found").mkdir()
    return bisect(place, dump, output=found, log=lambda _: None)


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_near_ties_in_another_order_are_right(tmp_path: Path, seed: int, depth: int) -> None:
    result = bisected(tmp_path, detector(depth, seed), {"scores": rounding(), "c0": rounding()})
    assert (result.cause, result.node, result.right) == ("jump", "topk", True)
    (jump,) = result.jumps
    assert 0 < jump.elements <= jump.of == PICKED
    assert jump.difference < 1e-5
    apart = {each.value for each in result.compared if not each.ok}
    assert "y" in apart
    assert apart.isdisjoint({"best", "scores", "boxes", "class"})


def changed(by: float, *at: int) -> Bend:
    def bend(value: Array) -> Array:
        other = value.copy()
        other[at or ...] += value.dtype.type(by)
        return other

    return bend


def swapped(value: Array) -> Array:
    """Pick, third, what is far from the third best."""
    other = value.copy()
    other[2] = (set(range(SIDE * SIDE)) - set(value.tolist())).pop()
    return other


@pytest.mark.parametrize(
    ("wrong", "bend", "node"),
    [
        ("c1", changed(0.05, 0, 3), "c1"),
        ("scores", changed(0.01, 0, 0, 4, 4), "scores"),
        ("which", swapped, "topk"),
        ("which", lambda v: v[::-1].copy(), "topk"),
        ("best", changed(0.01, 7), "topk"),
        ("y", changed(0.05, 2, 5), "gather"),
        ("boxes", changed(0.05, 0, 2), "boxes"),
        ("class", changed(0.05, 0, 1, 2, 2), "class"),
    ],
)
def test_a_wrong_kernel_around_a_jump_is_found(
    tmp_path: Path, wrong: str, bend: Bend, node: str
) -> None:
    """Before the choice, at it, behind it, and where nothing of it goes."""
    noise = {"scores": rounding(), "c0": rounding()}
    result = bisected(tmp_path, detector(), noise | {wrong: bend})
    assert (result.cause, result.node, result.right) == ("node", node, False)


@pytest.mark.parametrize("wrong", ["c1", "logits"])
def test_a_wrong_node_inside_a_fused_kernel_is_found(tmp_path: Path, wrong: str) -> None:
    noise = {"c0": rounding(), "ws": rounding()}
    hidden = ("c0", "c1", "logits", "corners", "row")
    by = 0.05 if wrong == "c1" else 1.0
    result = bisected(tmp_path, detector(), noise | {wrong: changed(by, 0, 0)}, hidden=hidden)
    assert result.cause == "node"
    assert wrong in result.nodes
    assert not result.right


ELEMENTWISE = {
    "Greater": (["s", "t"], {}),
    "LessOrEqual": (["s", "t"], {}),
    "Equal": (["s", "t"], {}),
    "Floor": (["s"], {}),
    "Ceil": (["s"], {}),
    "Round": (["s"], {}),
    "Sign": (["s"], {}),
    "Cast": (["s"], {"to": TensorProto.INT32}),
    "ThresholdedRelu": (["s"], {"alpha": 2.0}),
    "Mod": (["s", "t"], {"fmod": 1}),
}
POINT = {"Round": 2.5, "Sign": 0.0}


def jumping(operator: str) -> onnx.ModelProto:
    """Return a sum that is all but at ``operator``'s jump, and what is made of the result."""
    operands, attributes = ELEMENTWISE[operator]
    point = POINT.get(operator, 2.0)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="m"),
        helper.make_node("Add", ["m", "b"], ["s"], name="s"),
        helper.make_node(operator, operands, ["j"], name="j", **attributes),
        helper.make_node("Cast", ["j"], ["f"], name="f", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "t"], ["y"], name="y"),
    ]
    weights = {
        "w": values(8, 6) * np.float32(1e-7),
        "b": np.full(6, point, np.float32),
        "t": np.full(6, 2.0, np.float32),
    }
    return made(nodes, {"x": [4, 8]}, {"y": [4, 6]}, weights)


def at_random(value: Array) -> Array:
    """Return sums that are off by a unit or two, either way."""
    step = np.where(np.arange(value.size).reshape(value.shape) % 2, 5e-7, -5e-7)
    return np.asarray(value + step).astype(value.dtype)


@pytest.mark.parametrize("hidden", [(), ("m", "s", "j", "f")], ids=["seen", "fused"])
@pytest.mark.parametrize("operator", ELEMENTWISE)
def test_an_element_may_be_on_either_side_where_it_is_near(
    tmp_path: Path, operator: str, hidden: Collection[str]
) -> None:
    result = bisected(tmp_path, jumping(operator), {"s": at_random}, hidden=hidden)
    assert (result.cause, result.node, result.right) == ("jump", "j", True)
    assert result.jumps[0].elements > 0


@pytest.mark.parametrize("hidden", [(), ("m", "s", "j", "f")], ids=["seen", "fused"])
def test_of_jumps_in_a_row_the_first_is_named(tmp_path: Path, hidden: Collection[str]) -> None:
    model = jumping("Round")
    model.graph.node[3].attribute[0].i = TensorProto.INT32
    model.graph.node[4].op_type = "Mod"
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.full(6, 2, np.int32), "t"))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    result = bisected(tmp_path, model, {"s": at_random}, hidden=hidden)
    assert (result.cause, [jump.node for jump in result.jumps]) == ("jump", ["j"])


@pytest.mark.parametrize("hidden", [(), ("m", "s", "j", "f")], ids=["seen", "fused"])
@pytest.mark.parametrize("operator", ELEMENTWISE)
def test_an_element_that_is_far_from_the_jump_may_not(
    tmp_path: Path, operator: str, hidden: Collection[str]
) -> None:
    """The sums of a row are moved well away from the jump, and its first result is wrong."""
    model = jumping(operator)
    point = POINT.get(operator, 2.0)
    bias = np.full(6, point, np.float32)
    bias[0] += np.float32(0.3)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(bias, "b"))
    bent: dict[str, Bend] = {"s": at_random}
    result = bisected(
        tmp_path, model, bent | {"j" if not hidden else "y": wrong_first}, hidden=hidden
    )
    assert (result.cause, result.right) == ("node", False)
    assert {"j", "y"} & set(result.nodes)


def wrong_first(value: Array) -> Array:
    other = value.copy()
    other[1, 0] = not other[1, 0] if value.dtype == np.bool_ else other[1, 0] + 1
    return other


def test_a_sum_that_drifts_is_no_jump(tmp_path: Path) -> None:
    """Differences that no jump makes are not excused by one beside them."""
    bends = {f"c{i}": (lambda v: v * np.float32(1 + 8e-4)) for i in range(4)}
    result = bisected(tmp_path, detector(4), {**bends, "scores": rounding()})
    assert result.cause == "accumulation"
