"""Which operands are checked, what is proven to need none, and where a check stands in the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tvm import relax

from builder.compiler import importing, render
from builder.compiler.checks import intervals, operands
from builder.compiler.checks.intervals import Interval
from builder.compiler.checks.operands import Demand
from builder.compiler.operators.node import Node
from builder.compiler.plan import StaticPlan
from builder.errors import ModelRefused
from builder.package_files import templates_root
from builder.templating import environment
from tests.unit.compiler import execution
from tests.unit.compiler.test_lowering import planned

TABLE = np.arange(24, dtype=np.float32).reshape(4, 6)


def node(operator: str, *inputs: tuple[tuple[int, ...], str], **attributes: Any) -> Node:
    given = [relax.Var(f"i{n}", relax.TensorType(*each)) for n, each in enumerate(inputs)]
    return Node(operator=operator, builder=None, inputs=given, attributes=attributes, opset=18)


def data(*shape: int) -> tuple[tuple[int, ...], str]:
    return shape, "float32"


def indices(*shape: int, dtype: str = "int64") -> tuple[tuple[int, ...], str]:
    return shape, dtype


LENGTHS = [data(5, 2, 3), data(1, 4, 3), data(1, 4, 4), data(1, 8), indices(2, dtype="int32")]
UNBOUNDED = (1 << 63) - 1

DEMANDS = {
    "Gather": (node("Gather", data(4, 6), indices(3), axis=-1), (1, "index", [(-6, 5)])),
    "GatherElements": (node("GatherElements", data(4, 6), indices(2, 6)), (1, "index", [(-4, 3)])),
    "GatherND": (
        node("GatherND", data(2, 3, 4), indices(2, 1), batch_dims=1),
        (1, "index", [(-3, 2)]),
    ),
    "ScatterND": (
        node("ScatterND", data(4, 6, 2), indices(3, 2), data(3, 2)),
        (1, "index", [(-4, 3), (-6, 5)]),
    ),
    "ReverseSequence": (
        node("ReverseSequence", data(4, 2), indices(4), time_axis=1),
        (1, "length", [(0, 2)]),
    ),
    "LSTM": (node("LSTM", *LENGTHS), (4, "length", [(0, 5)])),
    "GRU": (node("GRU", *LENGTHS, layout=1), (4, "length", [(0, 2)])),
    "TensorScatter": (
        node("TensorScatter", data(2, 1, 8, 4), data(2, 1, 3, 4), indices(2)),
        (2, "index", [(0, 5)]),
    ),
    "TensorScatter, circular": (
        node("TensorScatter", data(2, 8, 4), data(2, 3, 4), indices(2), axis=1, mode=b"circular"),
        (2, "index", [(0, UNBOUNDED)]),
    ),
    "Div": (node("Div", indices(3), indices(3)), (1, "divisor", [])),
}


@pytest.mark.parametrize("case", DEMANDS)
def test_an_operator_demands_what_onnx_runtime_does(case: str) -> None:
    converted, (position, what, bounds) = DEMANDS[case]
    (demand,) = operands.demands(converted)
    assert (demand.position, demand.what) == (position, what)
    assert [(bound.low, bound.high) for bound in demand.bounds] == bounds


def test_floats_are_divided_by_anything() -> None:
    assert not operands.demands(node("Div", data(3), data(3)))


def test_regions_are_finite_and_of_an_image_that_is_there() -> None:
    made = node("RoiAlign", data(2, 1, 4, 4), data(3, 4), indices(3))
    rois, images = operands.demands(made)
    assert (rois.position, rois.bounds) == (1, ())
    assert (images.position, images.bounds) == (2, (Interval(0, 1),))


def test_a_demand_holds_where_nothing_is_outside() -> None:
    index = Demand(position=1, what="index", bounds=(Interval(-4, 3), Interval(-2, 1)))
    assert index.holds_for(Interval(-2, 1))
    assert not index.holds_for(Interval(0, 3))
    divisor = Demand(position=1, what="divisor", bounds=())
    assert divisor.holds_for(Interval(1, 9))
    assert divisor.holds_for(Interval(-9, -1))
    assert not divisor.holds_for(Interval(-1, 1))


PAIR = [indices(3), indices(3)]
COMPUTED: dict[str, tuple[Node, intervals.Given, Interval]] = {
    "Add": (node("Add", *PAIR), [Interval(1, 5), Interval(-3, 2)], Interval(-2, 7)),
    "Sub": (node("Sub", *PAIR), [Interval(1, 5), Interval(-3, 2)], Interval(-1, 8)),
    "Mul": (node("Mul", *PAIR), [Interval(-2, 5), Interval(-3, 2)], Interval(-15, 10)),
    "Div": (node("Div", *PAIR), [Interval(4, 20), Interval(2, 5)], Interval(0, 10)),
    "Mod": (node("Mod", *PAIR), [Interval(-9, 9), Interval(1, 5)], Interval(0, 4)),
    "Mod of C": (node("Mod", *PAIR, fmod=1), [Interval(-9, 9), Interval(1, 5)], Interval(-4, 4)),
    "Max": (node("Max", *PAIR), [Interval(-9, 9), Interval(0, 5)], Interval(0, 9)),
    "Min": (node("Min", *PAIR), [Interval(-9, 9), Interval(0, 5)], Interval(-9, 5)),
    "Clip": (
        node("Clip", *PAIR, indices()),
        [Interval(-9, 9), Interval(0, 0), Interval(3, 3)],
        Interval(0, 3),
    ),
    "BitwiseAnd": (node("BitwiseAnd", *PAIR), [Interval(-9, 99), Interval(7, 7)], Interval(0, 7)),
    "Where": (node("Where", *PAIR), [None, Interval(0, 2), Interval(5, 6)], Interval(0, 6)),
    "Concat": (node("Concat", *PAIR), [Interval(0, 2), Interval(5, 6)], Interval(0, 6)),
    "ArgMax": (node("ArgMax", data(4, 6), axis=1), [None], Interval(0, 5)),
    "Transpose": (node("Transpose", indices(3, 2)), [Interval(0, 2)], Interval(0, 2)),
}


@pytest.mark.parametrize("case", COMPUTED)
def test_what_is_computed_is_known(case: str) -> None:
    converted, given, expected = COMPUTED[case]
    assert intervals.of_output(converted, 0, "int64", given) == expected


def test_what_does_not_fit_can_be_anything() -> None:
    given = [Interval(0, 100), Interval(0, 100)]
    assert intervals.of_output(node("Add", *PAIR), 0, "int8", given) == Interval(-128, 127)
    # The remainder by what may be 0 or less, the quotient by it: nothing is known.
    unknown = intervals.of_type("int64")
    for operator in ("Mod", "Div"):
        made = node(operator, *PAIR)
        assert intervals.of_output(made, 0, "int64", [Interval(0, 9), Interval(0, 5)]) == unknown


def test_positions_of_the_largest_are_ranks() -> None:
    made = node("TopK", data(4, 6), indices(1))
    assert intervals.of_output(made, 1, "int64", [None, None]) == Interval(0, 5)


def graph(nodes: list[onnx.NodeProto], **constants: Any) -> onnx.ModelProto:
    """Return a model over x [4, 6], ids [5] of int64 and bytes [5] of uint8, whose output is y."""
    weights = {"table": TABLE, "wide": np.ones((256, 2), np.float32), **constants}
    made = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, 6]),
            helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [5]),
            helper.make_tensor_value_info("bytes", onnx.TensorProto.UINT8, [5]),
        ],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def op(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(
        operator, inputs.split(), output.split(), name=f"{output}_node", **attributes
    )


PROVEN = {
    "TopK": [op("TopK", "x two", "v i", axis=0), op("Gather", "table i", "y")],
    "ArgMax": [op("ArgMax", "x", "i", axis=0), op("Gather", "table i", "y")],
    "Mod": [op("Mod", "ids four", "i"), op("Gather", "table i", "y")],
    "Clip, moved": [
        op("Clip", "ids zero three", "c"),
        op("Cast", "c", "s", to=onnx.TensorProto.INT32),
        op("Unsqueeze", "s zeros", "u"),
        op("Transpose", "u", "i"),
        op("Gather", "table i", "y"),
    ],
    "a byte": [op("Cast", "bytes", "i", to=onnx.TensorProto.INT64), op("Gather", "wide i", "y")],
    "a divisor": [op("Clip", "ids three", "i"), op("Div", "ids i", "y")],
    "a constant": [op("Gather", "x ones", "y")],
}
CONSTANTS = {
    "two": np.array([2]),
    "four": np.array(4),
    "zero": np.array(0),
    "three": np.array(3),
    "zeros": np.array([0]),
    "ones": np.array([1, -1]),
}


@pytest.mark.parametrize("case", PROVEN)
def test_what_the_producer_proves_is_not_checked(tmp_path: Path, case: str) -> None:
    assert not planned(tmp_path, graph(PROVEN[case], **CONSTANTS)).checks


def test_a_check_stands_before_the_call_that_reads_and_behind_the_one_that_writes(
    tmp_path: Path,
) -> None:
    nodes = [op("Sub", "ids ids", "i"), op("Gather", "table i", "g"), op("Exp", "g", "y")]
    plan = planned(tmp_path, graph(nodes, **CONSTANTS))
    (check,) = plan.checks
    assert (check.what, check.node, check.tensor) == ("index", "g_node", "i")
    assert check.bounds == ((-4, 3),)
    writers, readers = _touching(plan, check.view)
    assert min(writers) < check.before <= min(readers)
    assert not [each for each in writers if check.before <= each <= min(readers)]


def _touching(plan: StaticPlan, view: Any) -> tuple[list[int], list[int]]:
    """Return the numbers of the calls that write a view, and of those that read it."""
    place = (view.place, view.index, view.offset)
    writers, readers = [], []
    for number, call in enumerate(plan.calls):
        held = [(each.place, each.index, each.offset) for each in call.views]
        first = len(held) - call.results
        writers += [number] if place in held[first:] else []
        readers += [number] if place in held[:first] else []
    return writers, readers


def test_what_is_checked_once_is_known(tmp_path: Path) -> None:
    nodes = [
        op("Gather", "table ids", "a"),
        op("Unsqueeze", "ids zeros", "u"),
        op("Gather", "table u", "b"),
        op("Add", "a b", "y"),
    ]
    assert len(planned(tmp_path, graph(nodes, **CONSTANTS)).checks) == 1


def test_a_narrower_table_is_checked_again(tmp_path: Path) -> None:
    nodes = [
        op("Gather", "wide ids", "a"),
        op("Gather", "table ids", "b"),
        op("Concat", "a b", "y", axis=1),
    ]
    checks = planned(tmp_path, graph(nodes, **CONSTANTS)).checks
    assert [check.bounds for check in checks] == [((-256, 255),), ((-4, 3),)]


def test_a_constant_that_is_no_index_is_refused_by_name(tmp_path: Path) -> None:
    made = graph([op("GatherElements", "x far", "y")], far=np.array([[0, 1], [2, 4]]))
    with pytest.raises(ModelRefused) as caught:
        importing.import_model(onnx.shape_inference.infer_shapes(made), tmp_path)
    assert caught.value.reason == "value-out-of-range"
    assert "y_node" in str(caught.value)


def test_a_plan_tells_its_checks_only_where_it_has_some(tmp_path: Path) -> None:
    kernels = [render.KernelSet(mcpu="x86-64-v3", features=(), prefix="")]
    templates = environment(templates_root())
    for name, index, has in (("with", "ids", True), ("without", "ones", False)):
        folder = tmp_path / name
        folder.mkdir()
        plan = planned(folder, graph([op("Gather", f"x {index}", "y")], **CONSTANTS))
        text = render.plan_c(plan, kernels, templates)
        assert ("bw_check checks[]" in text) == has
        assert ('{"index", "y_node", "ids", bounds + 0, 1,' in text) == has
        assert ('"what": "index"' in render.plan_json(plan)) == has


def test_tvms_own_machine_runs_what_is_marked(tmp_path: Path) -> None:
    found = execution.errors(graph([op("Gather", "x ids", "y", axis=1)]), tmp_path, lanes=8)
    assert max(found["outputs"]) == 0
