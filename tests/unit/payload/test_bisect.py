"""What a dump's numbers are blamed on: dumps are ONNX Runtime's own values, bent in one way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
from builder.errors import UsageError
from builder.model.bisection import Bisection
from builder.payload.bisect import bisect
from builder.payload.reference import Reference
from tests.unit.compiler.models import model

Array = npt.NDArray[Any]
Bend = Callable[[Array], Array]


def chain(length: int = 4) -> onnx.ModelProto:
    """Return v0 = exp(x), v1 = 1.5 v0, and then each v0 more than the one before it, up to y."""
    values = [*(f"v{i}" for i in range(length - 1)), "y"]
    nodes = [
        helper.make_node("Exp", ["x"], ["v0"], name="n0"),
        helper.make_node("Mul", ["v0", "w"], ["v1"], name="n1"),
    ]
    nodes += [
        helper.make_node("Add", [values[i - 1], "v0"], [values[i]], name=f"n{i}")
        for i in range(2, length)
    ]
    weights = {"w": np.full((4, 8), 1.5, np.float32)}
    return model(nodes, inputs={"x": [4, 8]}, outputs={"y": [4, 8]}, weights=weights)


def quantised() -> onnx.ModelProto:
    """Return x in steps of 1/64, twice that in steps, and as floats again."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="steps"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["f"], name="floats"),
        helper.make_node("Add", ["f", "f"], ["twice"], name="twice"),
        helper.make_node("QuantizeLinear", ["twice", "s", "z"], ["y"], name="again"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 8])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [4, 8])],
        [
            numpy_helper.from_array(np.float32(1 / 64), "s"),
            numpy_helper.from_array(np.uint8(128), "z"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def prepared(folder: Path, made: onnx.ModelProto) -> Path:
    output = folder / "prepared"
    output.mkdir()
    onnx.save(made, folder / "m.onnx")
    prepare(folder / "m.onnx", seed=0, output=output, log=lambda _: None)
    return output


def dump(prepared: Path, folder: Path, computed: Callable[[str, Array], Array]) -> Path:
    """Write a dump of one kernel a node, each with the values that ``computed`` gives it."""
    graph = onnx.load(prepared / "model.onnx", load_external_data=False)
    signature = read_signature(prepared)
    fed = {
        s.name: np.load(prepared / f"check/inputs/{s.file}.npy").view(s.dtype)
        for s in signature.inputs
    }
    names = [node.output[0] for node in graph.graph.node]
    folder.mkdir()
    tensors = []
    truth = Reference(graph, prepared).values(names, fed)
    for at, (node, value) in enumerate(zip(graph.graph.node, truth, strict=True)):
        np.save(folder / f"{at}-0.npy", computed(node.output[0], value))
        nodes = [node_name(at, node)]
        tensors.append(
            {"file": f"{at}-0", "kernel": f"k{at}", "nodes": nodes, "dtype": value.dtype.name}
        )
    (folder / "dump.json").write_text(json.dumps({"tensors": tensors}))
    return folder


def bisected(folder: Path, made: onnx.ModelProto, **bent: Bend) -> Bisection:
    """Bisect a dump whose values of these names are bent."""
    place = prepared(folder, made)
    wrong = dump(place, folder / "dump", lambda name, v: bent[name](v) if name in bent else v)
    return found(place, wrong, folder)


def found(place: Path, wrong: Path, folder: Path) -> Bisection:
    output = folder / "found"
    output.mkdir()
    return bisect(place, wrong, output=output, log=lambda _: None)


def shifted(by: float, *at: int) -> Bend:
    def bend(value: Array) -> Array:
        changed = value.copy()
        changed[at or ...] += value.dtype.type(by)
        return changed

    return bend


def test_what_is_right_is_unseen(tmp_path: Path) -> None:
    result = bisected(tmp_path, chain())
    assert (result.cause, result.node, result.right) == ("unseen", None, False)
    assert [each.value for each in result.compared] == ["v0", "v1", "v2", "y"]


def test_a_kernel_that_is_wrong_on_its_own_inputs_is_to_blame(tmp_path: Path) -> None:
    result = bisected(tmp_path, chain(), v1=shifted(0.1), v2=shifted(0.1), y=shifted(0.1))
    assert (result.cause, result.node) == ("node", "n1")
    assert result.local_error == pytest.approx(0.1, rel=1e-3)


def test_a_small_value_beside_large_ones_has_a_tolerance_of_its_own(tmp_path: Path) -> None:
    """What the largest element may be off by is no measure for the others."""
    made = chain()
    weight = np.full((4, 8), 1.5, np.float32)
    weight[0, 0] = 1e4
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    result = bisected(tmp_path, made, v1=shifted(1.0, 1, 1), v2=shifted(1.0, 1, 1))
    assert (result.cause, result.node) == ("node", "n1")


def test_errors_that_add_up_are_nobodys(tmp_path: Path) -> None:
    """Each kernel is off by less than its tolerance, on the inputs that the one before it gave."""
    place = prepared(tmp_path, chain(60))
    drift = 1 + 4e-4
    factors = {f"v{i}": drift**i for i in range(59)} | {"y": drift**59}
    wrong = dump(place, tmp_path / "dump", lambda name, v: v * np.float32(factors[name]))
    result = found(place, wrong, tmp_path)
    assert result.cause == "accumulation"
    first = next(each for each in result.compared if not each.ok)
    assert (result.node,) == first.nodes
    assert first.value not in ("v0", "y")


def test_a_model_that_was_prepared_wrongly_is_told(tmp_path: Path) -> None:
    place = prepared(tmp_path, chain())
    right = dump(place, tmp_path / "dump", lambda _, value: value)
    expected = place / "check/expected/y.npy"
    np.save(expected, np.load(expected) + np.float32(1))
    assert found(place, right, tmp_path).cause == "preparation"


@pytest.mark.parametrize(("steps", "cause"), [(1, "accumulation"), (2, "node")])
def test_a_rounded_value_may_be_the_step_beside(tmp_path: Path, steps: int, cause: str) -> None:
    bent = {"q": steps, "f": steps / 64, "twice": steps / 32, "y": 2 * steps}
    made = quantised()
    result = bisected(tmp_path, made, **{name: shifted(by, 2, 3) for name, by in bent.items()})
    assert result.cause == cause
    assert (result.node == "steps") == (cause == "node")


def test_inputs_may_be_bfloat16(tmp_path: Path) -> None:
    nodes: Sequence[Any] = [
        helper.make_node("Cast", ["x"], ["h"], name="widened", to=TensorProto.FLOAT),
        helper.make_node("Sin", ["h"], ["y"], name="sine"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.BFLOAT16, [4, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 8])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    result = bisected(tmp_path, made, y=shifted(1.0))
    assert (result.cause, result.node) == ("node", "sine")


def test_an_output_that_is_overwritten_later_is_wrong(tmp_path: Path) -> None:
    """What its kernel wrote is right; what is handed out is not."""
    place = prepared(tmp_path, chain())
    right = dump(place, tmp_path / "dump", lambda _, value: value)
    handed_out = np.load(right / "3-0.npy")
    handed_out[1, 2] += 1
    np.save(right / "output-0.npy", handed_out)
    result = found(place, right, tmp_path)
    assert (result.cause, result.node, result.kernel) == ("node", "n3", "k3")
    assert [each.ok for each in result.compared] == [True, True, True, False]


@pytest.mark.parametrize("wrong", [None, "x", "w"])
def test_outputs_that_no_node_computes_are_judged(tmp_path: Path, wrong: str | None) -> None:
    made = model(
        [helper.make_node("Exp", ["x"], ["y"], name="exp")],
        inputs={"x": [4, 8]},
        outputs={"y": [4, 8], "x": [4, 8], "w": [2]},
        weights={"w": np.ones(2, np.float32)},
    )
    place = prepared(tmp_path, made)
    folder = dump(place, tmp_path / "dump", lambda _, value: value)
    for at, spec in enumerate(read_signature(place).outputs):
        handed_out = np.load(place / f"check/expected/{spec.file}.npy")
        np.save(folder / f"output-{at}.npy", handed_out + np.float32(spec.name == wrong))
    result = found(place, folder, tmp_path)
    assert result.cause == "unseen"
    assert not result.right
    assert (
        {each.value: each.ok for each in result.compared}
        == {name: name != wrong for name in ("y", "x", "w")}
        if wrong
        else all(each.ok for each in result.compared)
    )


def test_a_dump_of_another_model_is_none(tmp_path: Path) -> None:
    place = prepared(tmp_path, chain())
    (tmp_path / "other").mkdir()
    other = prepared(tmp_path / "other", quantised())
    foreign = dump(other, tmp_path / "dump", lambda _, value: value)
    with pytest.raises(UsageError) as caught:
        found(place, foreign, tmp_path)
    assert caught.value.reason == "bad-dump"
