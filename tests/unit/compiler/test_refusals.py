"""What cannot be built is refused whole: every node, why, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from builder.compiler import importing
from builder.compiler.prepare import rewrites
from builder.compiler.prepare.pipeline import prepare
from builder.errors import BoardwrightError, ModelRefused
from tests.unit.compiler.models import model

node = helper.make_node
info = helper.make_tensor_value_info


def refusal(tmp_path: Path, made: onnx.ModelProto) -> BoardwrightError:
    source, folder = tmp_path / "m.onnx", tmp_path / "prepared"
    onnx.save(made, source)
    folder.mkdir()
    with pytest.raises(ModelRefused) as caught:
        prepare(source, seed=0, output=folder, log=lambda _: None)
        importing.import_model(importing.read_prepared(folder), folder)
    return caught.value


def reasons(failure: BoardwrightError) -> list[tuple[str, str]]:
    return [(entry["node"], entry["reason"]) for entry in failure.details["nodes"]]


def typed(graph_nodes: list[onnx.NodeProto], inputs: Any, outputs: Any) -> onnx.ModelProto:
    graph = helper.make_graph(graph_nodes, "g", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_shapes_that_depend_on_data_are_blamed_on_their_cause_only(tmp_path: Path) -> None:
    made = typed(
        [
            node("NonZero", ["x"], ["where"], name="finder"),
            node("Cast", ["where"], ["cast"], name="follower", to=TensorProto.FLOAT),
            node("Relu", ["cast"], ["y"], name="follower2"),
        ],
        [info("x", TensorProto.FLOAT, [3, 4])],
        [info("y", TensorProto.FLOAT, [2, None])],
    )
    failure = refusal(tmp_path, made)
    assert (failure.reason, reasons(failure)) == (
        "data-dependent-shape",
        [("finder", "data-dependent-shape")],
    )
    entry = failure.details["nodes"][0]
    assert (entry["operator"], entry["domain"], entry["opset"]) == ("NonZero", "", 17)
    assert entry["inputs"] == ({"name": "x", "dtype": "float", "shape": (3, 4)},)
    assert entry["outputs"][0]["shape"] == (2, "?")


def test_reasons_of_all_kinds_stand_in_one_report_in_the_models_order(tmp_path: Path) -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [node("Secret", ["x"], [name], name=f"{name}-node", domain="com.example")],
            name,
            [],
            [info(name, TensorProto.FLOAT, [3, 4])],
        )
        for name in ("then", "else")
    }
    made = typed(
        [
            node("Secret", ["x"], ["a"], name="custom", domain="com.example"),
            node("If", ["condition"], ["b"], name="branch", **branches),
            node("DFT", ["signal"], ["c"], name="transform", axis=1),
            node("NonZero", ["x"], ["d"], name="finder"),
        ],
        [
            info("x", TensorProto.FLOAT, [3, 4]),
            info("condition", TensorProto.BOOL, []),
            info("signal", TensorProto.FLOAT, [1, 8, 2]),
        ],
        [
            info("a", TensorProto.FLOAT, [3, 4]),
            info("b", TensorProto.FLOAT, [3, 4]),
            info("c", TensorProto.FLOAT, [1, 8, 2]),
            info("d", TensorProto.INT64, [2, None]),
        ],
    )
    failure = refusal(tmp_path, made)
    assert failure.reason == "unsupported-nodes"
    found = dict(reasons(failure))
    assert next(iter(found)) == "custom"
    assert found["custom"] == found["then-node"] == "custom-domain"
    assert (found["branch"], found["finder"]) == ("control-flow", "data-dependent-shape")
    nested = next(e for e in failure.details["nodes"] if e["node"] == "then-node")
    assert nested["path"] == ("branch.then_branch",)
    decider = next(e for e in failure.details["nodes"] if e["node"] == "branch")
    assert "condition" in decider["suggestion"]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (
            typed(
                [node("Frobnicate", ["x"], ["y"], name="odd")],
                [info("x", TensorProto.FLOAT, [3])],
                [info("y", TensorProto.FLOAT, [3])],
            ),
            "unknown-operator",
        ),
        (
            typed(
                [node("StringNormalizer", ["x"], ["y"], name="odd")],
                [info("x", TensorProto.STRING, [3])],
                [info("y", TensorProto.STRING, [None])],
            ),
            "unsupported-type",
        ),
    ],
)
def test_each_reason_has_its_slug(tmp_path: Path, made: onnx.ModelProto, reason: str) -> None:
    failure = refusal(tmp_path, made)
    assert failure.details["nodes"][0]["node"] == "odd"
    assert failure.reason == reason


def test_all_failing_conversions_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = importing._Importer._convert_operator

    def failing(self: Any, operator: str, *rest: Any) -> Any:
        if operator in ("Tanh", "Sigmoid"):
            raise NotImplementedError("only on Sundays")
        return convert(self, operator, *rest)

    monkeypatch.setattr(importing._Importer, "_convert_operator", failing)
    made = model(
        [
            node("Tanh", ["x"], ["a"], name="first"),
            node("Add", ["a", "x"], ["b"], name="between"),
            node("Sigmoid", ["b"], ["y"], name="second"),
        ],
        inputs={"x": [2, 3]},
        outputs={"y": [2, 3]},
    )
    failure = refusal(tmp_path, made)
    assert reasons(failure) == [
        ("first", "unconvertible-node"),
        ("second", "unconvertible-node"),
    ]
    assert failure.details["nodes"][0]["why"] == "only on Sundays"


def test_failing_conversions_stand_beside_all_other_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = importing._Importer._convert_operator

    def failing(self: Any, operator: str, *rest: Any) -> Any:
        if operator == "Tanh":
            raise NotImplementedError("only on Sundays")
        return convert(self, operator, *rest)

    monkeypatch.setattr(importing._Importer, "_convert_operator", failing)
    weights = {"w": np.ones((200, 40), np.float32)}
    made = model(
        [
            node("MatMul", ["x", "w"], ["h"], name="fine"),
            node("Tanh", ["h"], ["t"], name="unconvertible"),
            node("NonZero", ["t"], ["n"], name="finder"),
            node("DFT", ["s"], ["f"], name="unsupported", axis=1),
            node("Tanh", ["f"], ["y"], name="behind"),
        ],
        inputs={"x": [1, 200], "s": [1, 8, 2]},
        outputs={"y": None, "n": None},
        weights=weights,
    )
    made.graph.output[1].type.tensor_type.elem_type = TensorProto.INT64
    monkeypatch.setattr(rewrites, "TABLE", {})
    assert reasons(refusal(tmp_path, made)) == [
        ("unconvertible", "unconvertible-node"),
        ("finder", "data-dependent-shape"),
        ("unsupported", "unsupported-operator"),
        ("behind", "unconvertible-node"),
    ]


def test_a_rewrite_that_trips_names_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tripping(_site: object) -> bool:
        raise KeyError("no such attribute")

    monkeypatch.setattr(rewrites, "TABLE", {"Tanh": tripping})
    made = model(
        [
            node("Relu", ["x"], ["h"], name="fine"),
            node("Tanh", ["h"], ["y"], name="the node"),
        ],
        inputs={"x": [2, 3]},
        outputs={"y": [2, 3]},
    )
    failure = refusal(tmp_path, made)
    assert failure.reason == "unpreparable"
    assert "rewrite_operators" in str(failure)
    assert failure.details == {"node": "the node", "operator": "Tanh"}
    assert "no such attribute" in str(failure.why)


def test_weights_count_as_values_of_known_shape(tmp_path: Path) -> None:
    weights = {"w": np.ones((200, 40), np.float32)}
    made = model(
        [
            node("MatMul", ["x", "w"], ["h"], name="fine"),
            node("NonZero", ["h"], ["n"], name="finder"),
            node("Cast", ["n"], ["y"], name="cast", to=TensorProto.FLOAT),
        ],
        inputs={"x": [1, 200]},
        outputs={"y": [2, 1]},
        weights=weights,
    )
    del made.graph.output[0].type.tensor_type.shape.dim[:]
    made.graph.output[0].type.tensor_type.ClearField("shape")
    assert reasons(refusal(tmp_path, made)) == [("finder", "data-dependent-shape")]


def with_setting(operator: str, output: int = TensorProto.FLOAT, **attributes: Any) -> Any:
    """Return one node whose second input is a whole number that the model takes."""
    return typed(
        [node(operator, ["x", "setting"], ["y"], name="it", **attributes)],
        [info("x", TensorProto.FLOAT, [3, 4]), info("setting", TensorProto.INT64, [1])],
        [info("y", output, None)],
    )


@pytest.mark.parametrize("operator", ["Unsqueeze", "Squeeze", "ReduceSum", "Tile", "TopK"])
def test_a_setting_that_is_an_input_is_to_be_frozen(tmp_path: Path, operator: str) -> None:
    made = with_setting(operator)
    if operator == "Tile":
        made.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 2
    if operator == "Squeeze":
        made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    if operator == "TopK":
        made.graph.node[0].output.append("places")
    failure = refusal(tmp_path, made)
    assert "--freeze setting=VALUE" in failure.details["nodes"][0]["suggestion"]
    assert "Expr" not in failure.details["nodes"][0]["why"]


def test_a_running_sum_along_an_axis_that_is_an_input_names_it(tmp_path: Path) -> None:
    failure = refusal(tmp_path, with_setting("CumSum"))
    (entry,) = failure.details["nodes"]
    assert (entry["reason"], "'setting'" in entry["why"]) == ("unconvertible-node", True)
    assert "--freeze setting=VALUE" in entry["suggestion"]


def test_nobody_is_told_to_freeze_what_a_model_computes_with(tmp_path: Path) -> None:
    outputs = ["boxes", "scores", "most"]
    made = typed(
        [node("NonMaxSuppression", outputs, ["y"], name="it")],
        [
            info("boxes", TensorProto.FLOAT, [1, 9, 4]),
            info("scores", TensorProto.FLOAT, [1, 2, 9]),
            info("most", TensorProto.INT64, [1]),
        ],
        [info("y", TensorProto.INT64, [None, 3])],
    )
    assert "--freeze" not in refusal(tmp_path, made).details["nodes"][0]["suggestion"]


def test_a_condition_on_data_is_not_to_be_frozen_but_a_flag_is(tmp_path: Path) -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [node(operator, ["x"], [name], name=name)],
            name,
            [],
            [info(name, TensorProto.FLOAT, [3, 4])],
        )
        for name, operator in (("then", "Relu"), ("else", "Neg"))
    }
    made = typed(
        [
            node("ReduceMax", ["x"], ["top"], keepdims=0),
            node("Cast", ["top"], ["positive"], to=TensorProto.BOOL),
            node("If", ["positive"], ["a"], name="by data", **branches),
            node("If", ["flag"], ["b"], name="by flag", **branches),
        ],
        [info("x", TensorProto.FLOAT, [3, 4]), info("flag", TensorProto.BOOL, [])],
        [info("a", TensorProto.FLOAT, [3, 4]), info("b", TensorProto.FLOAT, [3, 4])],
    )
    told = {e["node"]: e["suggestion"] for e in refusal(tmp_path, made).details["nodes"]}
    assert "--freeze" not in told["by data"] and "Where" in told["by data"]
    assert "--freeze flag=VALUE" in told["by flag"]


@pytest.mark.parametrize("rank", [33, 64, 65, 80])
@pytest.mark.parametrize("kind", ["input", "weight", "between"])
def test_more_axes_than_a_tensor_may_have_are_refused_by_name(
    tmp_path: Path, kind: str, rank: int
) -> None:
    shape = [1] * (rank - 1) + [2]
    weights = [] if kind == "input" else [helper.make_tensor("w", 1, [2], [1.0, 2.0])]
    nodes = [node("Relu", ["x"], ["y"], name="it")]
    given = [2]
    if kind == "input":
        given = shape
    elif kind == "weight":
        weights[0].dims[:] = shape
        nodes = [node("Add", ["x", "w"], ["y"], name="it")]
    else:
        weights = [helper.make_tensor("to", TensorProto.INT64, [rank], shape)]
        nodes = [node("Reshape", ["x", "to"], ["t"], name="wide"), node("Relu", ["t"], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [info("x", 1, given)], [info("y", 1, None)], initializer=weights
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    failure = refusal(tmp_path, made)
    assert failure.reason == "too-many-axes"
    assert "32" in str(failure.why)


def test_32_axes_are_not_too_many(tmp_path: Path) -> None:
    made = model(
        [node("Relu", ["x"], ["y"])], inputs={"x": [1] * 31 + [2]}, outputs={"y": [1] * 31 + [2]}
    )
    source, folder = tmp_path / "m.onnx", tmp_path / "prepared"
    onnx.save(made, source)
    folder.mkdir()
    prepare(source, seed=0, output=folder, log=lambda _: None)


def test_what_onnx_runtime_lacks_is_no_matter_of_inputs(tmp_path: Path) -> None:
    made = typed(
        [node("Acos", ["x"], ["y"], name="it")],
        [info("x", TensorProto.DOUBLE, [3])],
        [info("y", TensorProto.DOUBLE, [3])],
    )
    failure = refusal(tmp_path, made)
    assert failure.reason == "reference-failed"
    assert "NOT_IMPLEMENTED" in str(failure.why) and "--inputs" not in str(failure.remedy)
