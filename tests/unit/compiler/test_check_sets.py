"""The sets of inputs that a model is verified with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from builder.compiler.prepare.check_data import Arrays
from builder.compiler.prepare.input_sets import further_sets
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.set_list import CheckSet, read_sets, set_folders
from builder.errors import ModelRefused
from builder.model.tensor import TensorSpec
from builder.payload.affordable import affordable
from tests.unit.compiler.models import conv_bn_relu, model


def prepared(folder: Path, made: onnx.ModelProto, given: Path | None = None) -> Path:
    onnx.save(made, folder / "m.onnx")
    (output := folder / "prepared").mkdir()
    prepare(folder / "m.onnx", seed=0, output=output, log=lambda _: None, given=given)
    return output


def listed(prepared: Path) -> dict[str, CheckSet]:
    return {each.name: each for each in read_sets(prepared)}


def test_each_set_has_inputs_outputs_and_tolerances(tmp_path: Path) -> None:
    place = prepared(tmp_path, conv_bn_relu())
    assert list(listed(place)) == ["seeded", "large", "zeros", "negative", "equal"]
    assert all(each.dropped is None for each in listed(place).values())
    seeded, large, zeros, negative, equal = (
        np.load(folder / "inputs/x.npy") for folder in set_folders(place)
    )
    np.testing.assert_array_equal(large, seeded * np.float32(100))
    assert not zeros.any()
    np.testing.assert_array_equal(negative, -np.abs(seeded))
    assert np.unique(equal).tolist() == [0.5]
    for folder in set_folders(place):
        assert (folder / "expected/y.npy").is_file()
        assert (folder / "tolerance.txt").read_text().startswith("y ")
    limits = [float((f / "tolerance.txt").read_text().split()[1]) for f in set_folders(place)]
    assert limits[1] > limits[0]


def test_integers_keep_to_what_the_seeded_ones_hold(tmp_path: Path) -> None:
    """What those index or divide, the further ones do."""
    specs = [
        TensorSpec(name="i", file="i", dtype="int64", shape=(6,)),
        TensorSpec(name="b", file="b", dtype="bool", shape=(6,)),
        TensorSpec(name="x", file="x", dtype="float32", shape=(6,)),
    ]
    seeded = {
        "i": np.array([3, 1, 4, 1, 2, 2]),
        "b": np.array([True, False, True, True, False, True]),
        "x": np.linspace(-1, 1, 6, dtype=np.float32),
    }
    found = {
        each.name: each.inputs
        for each in further_sets(seeded, specs, {"i": range(5)}, 7, jumps=True)
    }
    assert list(found) == ["large", "zeros", "negative", "equal", "seed-8", "seed-9", "seed-10"]
    for inputs in found.values():
        assert set(inputs["i"].tolist()) <= set(seeded["i"].tolist())
        assert inputs["i"].dtype == np.int64
        assert inputs["b"].dtype == np.bool_
        assert inputs["x"].dtype == np.float32
    assert found["zeros"]["i"].tolist() == [1] * 6
    assert not np.array_equal(found["seed-8"]["x"], found["seed-9"]["x"])


def test_no_set_is_there_twice() -> None:
    specs = [TensorSpec(name="i", file="i", dtype="int32", shape=(3,))]
    same = {"i": np.full(3, 2, np.int32)}
    assert list(further_sets(same, specs, {}, 0, jumps=True)) == []


def test_what_the_reference_does_not_run_is_dropped(tmp_path: Path) -> None:
    """A float that indexes: 100 times as large it is outside the table."""
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("Cast", ["a"], ["i"], to=TensorProto.INT64),
        helper.make_node("Gather", ["t", "i"], ["y"]),
    ]
    table = {"t": np.arange(3, dtype=np.float32)}
    place = prepared(tmp_path, model(nodes, inputs={"x": [5]}, outputs={"y": [5]}, weights=table))
    sets = listed(place)
    assert "does not run" in (sets["large"].dropped or "")
    assert sets["zeros"].dropped is None
    assert not (place / "sets/large").exists()


def test_what_is_no_number_anywhere_is_dropped(tmp_path: Path) -> None:
    made = model(
        [helper.make_node("Sqrt", ["x"], ["y"])], inputs={"x": [4, 4]}, outputs={"y": [4, 4]}
    )
    sets = listed(prepared(tmp_path, made))
    assert "no finite number" in (sets["negative"].dropped or "")
    assert sets["equal"].dropped is None


def test_given_inputs_are_the_only_set(tmp_path: Path) -> None:
    given = tmp_path / "given.npz"
    np.savez(given, x=np.ones((1, 3, 9, 7), np.float32))
    place = prepared(tmp_path, conv_bn_relu(), given)
    assert list(listed(place)) == ["given"]
    assert list((place / "check/inputs").iterdir())


@pytest.mark.parametrize(("operator", "spare"), [("Floor", 3), ("Tanh", 0)])
def test_other_seeds_are_kept_where_results_jump(tmp_path: Path, operator: str, spare: int) -> None:
    made = model([helper.make_node(operator, ["x"], ["y"])], inputs={"x": [9]}, outputs={"y": [9]})
    assert sum(each.spare for each in read_sets(prepared(tmp_path, made))) == spare


def quantised() -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [64])],
        [
            numpy_helper.from_array(np.float32(1 / 64), "s"),
            numpy_helper.from_array(np.uint8(128), "z"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_quantised_models_have_doubts_for_each_set(tmp_path: Path) -> None:
    assert len(set_folders(prepared(tmp_path, quantised()))) == 5


def test_a_set_that_only_another_order_does_not_run_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(feed: Arrays) -> Arrays:
        return {"x": feed["x"][:3]} if np.abs(feed["x"]).max() > 10 else feed

    monkeypatch.setattr("builder.compiler.prepare.check_sets.nudged", cut)
    place = prepared(tmp_path, quantised())
    assert listed(place)["large"].dropped is not None
    assert len(set_folders(place)) == 4


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc")])
def test_what_the_reference_has_no_memory_for_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def starved(_: object) -> None:
        raise error

    monkeypatch.setattr("builder.compiler.prepare.check_data.as_ort_value", starved)
    with pytest.raises(ModelRefused) as caught:
        prepared(tmp_path, conv_bn_relu())
    assert caught.value.reason == "too-large"
    assert "--inputs" not in str(caught.value.remedy)


def test_an_emulator_runs_as_many_sets_as_a_build_has_time_for(tmp_path: Path) -> None:
    place = prepared(tmp_path, conv_bn_relu())
    assert affordable("native", place, 4) == 4
    assert affordable("qemu", place, 4) == 4
    assert affordable("qemu", place, 0) == 0
    nodes = [helper.make_node("MatMul", [f"v{i}", "w"], [f"v{i + 1}"]) for i in range(8)]
    heavy = model(
        nodes,
        inputs={"v0": [512, 512]},
        outputs={"v8": [512, 512]},
        weights={"w": np.full((512, 512), 1 / 512, np.float32)},
    )
    (tmp_path / "heavy").mkdir()
    assert affordable("qemu", prepared(tmp_path / "heavy", heavy), 4) == 1
