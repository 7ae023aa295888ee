"""What parses but is no graph is refused first of all; finds of the fuzzer are here too."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from builder.compiler.prepare.pipeline import prepare
from builder.compiler.prepare.wellformed import require_wellformed
from builder.errors import BoardwrightError, ModelRefused
from tests.unit.compiler.models import model

node = helper.make_node
FLOATS = helper.make_tensor_value_info("o", TensorProto.FLOAT, [2])
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]


def relu() -> onnx.ModelProto:
    return model([node("Relu", ["x"], ["y"], name="r")], inputs={"x": [2]}, outputs={"y": [2]})


def refusal(made: onnx.ModelProto) -> BoardwrightError:
    with pytest.raises(ModelRefused) as caught:
        require_wellformed(made)
    return caught.value


def with_functions(*functions: onnx.FunctionProto, called: str) -> onnx.ModelProto:
    made = relu()
    del made.opset_import[:]
    made.opset_import.extend(OPSETS)
    made.functions.extend(functions)
    made.graph.node[0].CopyFrom(node(called, ["x"], ["y"], domain="f"))
    return made


def function(name: str, *calls: str) -> onnx.FunctionProto:
    names = ["a", *(f"v{i}" for i in range(len(calls) - 1)), "b"]
    body = [
        node(call, [names[i]], [names[i + 1]], domain="f" if call[0] == "F" else "")
        for i, call in enumerate(calls)
    ]
    return helper.make_function("f", name, ["a"], ["b"], body, OPSETS)


def test_a_plain_model_passes() -> None:
    require_wellformed(relu())


def test_functions_pass_as_long_as_they_end() -> None:
    require_wellformed(with_functions(function("F0", "Relu"), function("F1", "F0"), called="F1"))


def test_a_function_that_calls_itself_is_named() -> None:
    made = with_functions(function("F0", "F1"), function("F1", "F0"), called="F0")
    failure = refusal(made)
    assert failure.reason == "invalid-graph"
    assert "F0" in str(failure)


def test_functions_that_double_thirty_times_are_too_many_nodes() -> None:
    doubling = [function(f"F{i}", f"F{i - 1}", f"F{i - 1}") for i in range(1, 31)]
    failure = refusal(with_functions(function("F0", "Relu"), *doubling, called="F30"))
    assert failure.reason == "too-many-nodes"


def test_functions_that_double_thirty_times_are_found_from_a_branch_too() -> None:
    doubling = [function(f"F{i}", f"F{i - 1}", f"F{i - 1}") for i in range(1, 31)]
    made = with_functions(function("F0", "Relu"), *doubling, called="F0")
    branch = helper.make_graph([node("F30", ["x"], ["o"], domain="f")], "b", [], [FLOATS])
    made.graph.node.append(node("If", ["x"], ["h"], then_branch=branch, else_branch=branch))
    failure = refusal(made)
    assert failure.reason == "too-many-nodes"
    assert "F30" in str(failure)


def test_functions_that_call_one_another_in_a_long_chain_are_too_deep() -> None:
    chain = [function(f"F{i}", f"F{i - 1}") for i in range(1, 600)]
    assert refusal(with_functions(*chain, function("F0", "Relu"), called="F599")).reason == (
        "too-deep"
    )


def test_names_are_text_in_functions_too() -> None:
    body = function("F0", "Relu")
    body.node[0].name = "a\0b"
    assert refusal(with_functions(body, called="F0")).reason == "invalid-graph"


def test_a_value_that_nothing_makes_is_found_in_a_function() -> None:
    body = function("F0", "Relu", "Relu")
    body.node[0].input[0] = "v0"
    failure = refusal(with_functions(body, called="F0"))
    assert failure.reason == "invalid-graph"
    assert "'v0'" in str(failure)


def test_an_equation_is_looked_at_in_functions_too() -> None:
    body = function("F0", "Relu")
    body.node[0].CopyFrom(node("Einsum", ["a"], ["b"], name="sum", equation="-~"))
    assert "sum" in str(refusal(with_functions(body, called="F0")))


def test_an_equation_that_a_caller_hands_down_is_looked_at(tmp_path: Path) -> None:
    body = function("F0", "Relu")
    body.attribute.append("how")
    body.node[0].CopyFrom(node("Einsum", ["a"], ["b"]))
    body.node[0].attribute.add(
        name="equation", ref_attr_name="how", type=onnx.AttributeProto.STRING
    )
    made = with_functions(body, called="F0")
    made.graph.node[0].attribute.append(helper.make_attribute("how", "-~"))
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(ModelRefused) as caught:
        prepare(tmp_path / "m.onnx", seed=0, output=tmp_path, log=lambda _: None)
    assert "-~" in str(caught.value)


@pytest.mark.parametrize("versions", [[], [0], [10_000], [17, 17]])
def test_one_known_operator_set_is_due(versions: list[int]) -> None:
    made = relu()
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid("", version) for version in versions)
    assert refusal(made).reason == "invalid-graph"


def test_names_are_text() -> None:
    for name in (b"\xff\xfe", b"a\0b"):
        content = relu()
        content.graph.node[0].name = "QQQQQQQQ"
        raw = content.SerializeToString().replace(b"QQQQQQQQ", name.ljust(8, b"Q"))
        assert refusal(onnx.ModelProto.FromString(raw)).reason == "invalid-graph"


def test_an_equation_that_is_none_never_reaches_shape_inference() -> None:
    made = relu()
    made.graph.node[0].CopyFrom(node("Einsum", ["x"], ["y"], name="sum", equation="-~"))
    assert "sum" in str(refusal(made))


def test_an_outer_value_is_known_in_a_branch_but_not_the_other_way_round() -> None:
    def branching(inner: str, outer: str) -> onnx.ModelProto:
        info = helper.make_tensor_value_info
        out = info("o", TensorProto.FLOAT, [2])
        branch = helper.make_graph([node("Relu", [inner], ["o"])], "b", [], [out])
        step = node("If", ["c"], ["h"], then_branch=branch, else_branch=branch)
        made = relu()
        made.graph.input.append(info("c", TensorProto.BOOL, []))
        del made.graph.node[:]
        made.graph.node.extend([step, node("Relu", [outer], ["y"], name="after")])
        return made

    require_wellformed(branching(inner="x", outer="h"))
    assert "after" in str(refusal(branching(inner="x", outer="o")))


def test_a_scalar_by_declaration_only_is_not_believed(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [node("HannWindow", ["n"], ["y"], name="window")],
        "g",
        [helper.make_tensor_value_info("n", TensorProto.INT32, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    onnx.save(helper.make_model(graph, opset_imports=OPSETS[:1], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ModelRefused) as caught:
        prepare(tmp_path / "m.onnx", seed=0, output=tmp_path, log=lambda _: None)
    assert caught.value.reason == "data-dependent-shape"


def test_an_element_type_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    made = relu()
    made.graph.input[0].type.tensor_type.elem_type = -(2**31)
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(ModelRefused):
        prepare(tmp_path / "m.onnx", seed=0, output=tmp_path, log=lambda _: None)


@pytest.mark.parametrize("attribute", ["strides", "dilations", "kernel_shape"])
def test_windows_that_stand_still_are_named(attribute: str) -> None:
    """A library divides by them while constants are folded, and the process dies."""
    made = relu()
    steps = {"strides": [1, 1], "dilations": [1, 1], "kernel_shape": [1, 1], attribute: [1, 0]}
    made.graph.node[0].CopyFrom(node("MaxPool", ["x"], ["y"], name="pool", **steps))
    failure = refusal(made)
    assert failure.reason == "invalid-graph"
    assert f"{attribute} of node 'pool'" in str(failure)
