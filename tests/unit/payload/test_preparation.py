"""A prepared model that jumps away from the one it was made of, and one that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from builder.compiler.node_names import node_name
from builder.compiler.prepare.as_given import AS_GIVEN
from builder.compiler.prepare.check_data import UsersModel
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.model.bisection import Bisection
from builder.payload.bisect import bisect
from builder.payload.reference import Reference
from tests.unit.compiler.models import model


def rounded(rounding: str) -> onnx.ModelProto:
    """Return ``rounding`` of sums that are 2 as far as float32 can tell, and a sum beside it."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["m"], name="m"),
        helper.make_node("Add", ["m", "b"], ["s"], name="s"),
        helper.make_node(rounding, ["s"], ["f"], name="rounding"),
        helper.make_node("Add", ["f", "x"], ["y"], name="y"),
    ]
    weights = {"w": np.full((1, 8), 1e-9, np.float32), "b": np.full((1, 8), 2, np.float32)}
    return model(nodes, inputs={"x": [4, 8]}, outputs={"y": [4, 8]}, weights=weights)


def found(folder: Path, made: onnx.ModelProto, given_b: float) -> Bisection:
    """Bisect what computes ``made`` as it was prepared, where it was given with another ``b``."""
    onnx.save(made, folder / "m.onnx")
    for name in ("prepared", "dump", "found"):
        (folder / name).mkdir()
    place, dump = folder / "prepared", folder / "dump"
    prepare(folder / "m.onnx", seed=0, output=place, log=lambda _: None)
    given = onnx.load(folder / "m.onnx")
    (weight,) = (each for each in given.graph.initializer if each.name == "b")
    weight.CopyFrom(numpy_helper.from_array(np.full((1, 8), given_b, np.float32), "b"))
    onnx.save(given, place / AS_GIVEN)
    x = np.load(place / "check/inputs/x.npy")
    outputs = UsersModel(place / AS_GIVEN).outputs({"x": x}, read_signature(place).outputs)
    np.save(place / "check/expected/y.npy", outputs["y"])
    graph = onnx.load(place / "model.onnx", load_external_data=False)
    names = [node.output[0] for node in graph.graph.node]
    tensors = []
    for at, value in enumerate(Reference(graph, place).values(names, {"x": x})):
        np.save(dump / f"{at}-0.npy", value)
        nodes = [node_name(at, graph.graph.node[at])]
        tensors.append({"file": f"{at}-0", "kernel": f"k{at}", "nodes": nodes, "dtype": "float32"})
    (dump / "dump.json").write_text(json.dumps({"tensors": tensors}))
    return bisect(place, dump, output=folder / "found", log=lambda _: None)


@pytest.mark.parametrize("rounding", ["Floor", "Ceil"])
def test_a_sum_in_another_order_may_jump(tmp_path: Path, rounding: str) -> None:
    beside = np.nextafter(np.float32(2), np.float32(0 if rounding == "Floor" else 3))
    result = found(tmp_path, rounded(rounding), float(beside))
    assert (result.cause, result.node, result.right) == ("jump", "rounding", True)
    assert result.jumps[0].elements == 32
    assert result.jumps[0].difference < 1e-6


@pytest.mark.parametrize("rounding", ["Floor", "Round", "Tanh"])
def test_a_sum_of_something_else_is_wrong_in_spite_of_a_jump(tmp_path: Path, rounding: str) -> None:
    result = found(tmp_path, rounded(rounding), 1.1)
    assert (result.cause, result.right) == ("preparation", False)


def test_what_computes_the_same_is_right(tmp_path: Path) -> None:
    result = found(tmp_path, rounded("Floor"), 2.0)
    assert (result.cause, result.right) == ("unseen", False)
