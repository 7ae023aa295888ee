"""The conformance run's own logic: what counts, what is worse than expected, how it is shown."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ci.conformance import differing, page, results
from ci.conformance.batch import outcomes
from ci.conformance.cases import Case
from ci.conformance.comparing import within
from ci.conformance.farm import Job, perform
from ci.conformance.opsets import implemented, is_taken
from ci.conformance.other_data import KINDS, hostile_integers, variants
from ci.conformance.reference import agrees
from ci.conformance.results import Result
from ci.conformance.sampling import sample

PASS = Result(name="a", operator="Add", verdict="pass")
WRONG = Result(name="b", operator="Add", verdict="wrong", reason="y | differs")
EXCLUDED = Result(name="c", operator="Cast", verdict="excluded", reason="strings")


def test_the_figure_leaves_out_what_does_not_count() -> None:
    assert results.summary([PASS, WRONG, EXCLUDED]) == "1 of 2 pass (50.0%)"
    assert results.expected_of([PASS, WRONG, EXCLUDED]) == {"a": "pass", "b": "wrong"}


def test_only_what_passed_before_can_get_worse() -> None:
    assert results.regressions([PASS, WRONG], {"a": "pass", "b": "wrong"}) == []
    assert results.regressions([WRONG], {"b": "pass"}) == [WRONG]


def test_the_page_keeps_its_text_and_shows_reasons_as_text() -> None:
    text = "before\n<!-- results of pc -->\nold\n<!-- end of pc -->\nafter\n"
    section = page.whole([PASS, WRONG, EXCLUDED])
    new = page.rewritten(text, "pc", section)
    assert new.startswith("before\n") and new.endswith("\nafter\n") and "old" not in new
    assert "| Add | 1 | 2 |" in new and "y \\| differs" in new
    assert page.rewritten(new, "pc", section) == new
    assert "y \\| differs" in page.sampled([PASS, WRONG])
    assert page.sampled([PASS]) == "**1 of 1 pass (100.0%)**, of 1 operators.\n"


def test_a_sample_has_every_operator_before_it_has_one_twice() -> None:
    names = [("Add", "abcdefgh"), ("Mul", "ij"), ("Sub", "k")]
    cases = [replace(_case(0.0), name=n, operator=o) for o, group in names for n in group]
    few, more = sample(cases, 3), sample(cases, 6)
    assert {case.operator for case in few} == {"Add", "Mul", "Sub"}
    assert few == sample(cases, 3) and all(case in more for case in few)
    assert len(more) == 6 and sample(cases, 99) == cases


def _case(rtol: float) -> Case:
    return Case(
        name="t",
        operator="Add",
        model=None,
        inputs={},
        outputs={},
        frozen=frozenset(),
        rtol=rtol,
        atol=0.0,
    )


def test_types_and_shapes_must_agree_before_numbers_do() -> None:
    one = np.ones(2, np.float32)
    assert agrees(_case(1e-3), one, one * np.float32(1.0005))
    assert not agrees(_case(1e-3), one, one.astype(np.float64))
    assert not agrees(_case(1e-3), one, np.ones(3, np.float32))
    assert not agrees(_case(1e-3), np.arange(2), np.arange(2) + 1)


def test_a_case_newer_than_onnx_runtime_is_asked_of_it_as_an_older_one() -> None:
    newest = onnx.defs.onnx_opset_version()
    asked = implemented(replace(_case(0.0), model=_model("Relu", newest))).model
    assert is_taken(asked) and 14 <= asked.opset_import[0].version <= newest
    old = _model("Relu", 14)
    assert implemented(replace(_case(0.0), model=old)).model is old
    foreign = _model("Relu", newest, domain="of.nobody")
    assert implemented(replace(_case(0.0), model=foreign)).model is foreign


def _model(operator: str, opset: int, domain: str = "") -> onnx.ModelProto:
    x, y = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in ("x", "y")
    )
    node = onnx.helper.make_node(operator, ["x"], ["y"], domain=domain)
    opsets = [onnx.helper.make_opsetid(domain, opset)]
    graph = onnx.helper.make_graph([node], "g", [x], [y])
    ir_version = onnx.helper.find_min_ir_version_for(opsets, ignore_unknown=True)
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def test_a_crash_and_a_hang_cost_their_own_job_only(tmp_path: Path) -> None:
    def crash(_folder: Path) -> dict[str, object]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    def hang(_folder: Path) -> dict[str, object]:
        while True:
            pass

    def work(_folder: Path) -> dict[str, object]:
        return {"fine": True}

    jobs = [
        Job(number=number, folder=tmp_path / str(number), work=what)
        for number, what in enumerate((crash, hang, work))
    ]
    answers = dict(perform(jobs, processes=3, limit_s=1))
    assert answers == {0: {"died": "SIGTERM"}, 1: {"died": "SIGKILL"}, 2: {"fine": True}}


def test_a_record_of_other_data_lists_what_differs_by_operator_and_kind() -> None:
    found = [
        Result(name="test_a zeros", operator="Add", verdict="pass"),
        Result(name="test_a nan", operator="Add", verdict="wrong", reason="y: 1 | 2"),
        Result(name="test_b nan", operator="Add", verdict="excluded", reason="refused"),
    ]
    record = differing.record_of(found)
    assert record == {"counted": 2, "passing": 1, "differs": {"Add": {"nan": ["test_a"]}}}
    assert differing.new_differences(found, record) == []
    assert differing.new_differences(found, {"differs": {}}) == [found[1]]
    section = differing.section(found)
    assert "**1 of 2 pass (50.0%)**." in section and "| zeros | 1 | 1 |" in section
    assert "| Add | nan | 1 | test_a: y: 1 \\| 2 |" in section


def test_other_data_keeps_types_shapes_and_indices() -> None:
    inputs: dict[str, Any] = {
        "x": np.arange(6, dtype=np.float32).reshape(2, 3),
        "n": np.array([1, 250], np.uint8),
        "at": np.array([0, 1]),
        "axes": np.array([0]),
    }
    frozen, indices = frozenset({"axes"}), frozenset({"at"})
    case = replace(_case(0.0), inputs=inputs, frozen=frozen, indices=indices)
    made = dict(variants(case))
    assert set(made) == set(KINDS)
    for arrays in made.values():
        assert set(arrays) == {"x", "n", "at"}
        assert all(arrays[name].dtype == inputs[name].dtype for name in arrays)
        assert all(arrays[name].shape == inputs[name].shape for name in arrays)
        assert (arrays["at"] == inputs["at"]).all()
    assert (made["times-100"]["n"] == [100, 255]).all() and not made["zeros"]["x"].any()
    assert np.isnan(made["nan"]["x"]).any() and np.isinf(made["infinities"]["x"]).any()
    assert not (made["seed-1"]["x"] == made["seed-2"]["x"]).all()


def test_hostile_integers_are_for_cases_with_integers_and_reach_beyond() -> None:
    floats = replace(_case(0.0), inputs={"x": np.ones(3, np.float32)})
    assert list(hostile_integers(floats)) == []
    case = replace(_case(0.0), inputs={"at": np.zeros(50, np.int64)}, indices=frozenset({"at"}))
    made = dict(hostile_integers(case))
    assert np.isin(made["just-outside"]["at"], [50, 51]).all()
    assert np.iinfo(np.int64).min in made["extremes"]["at"]
    assert made["near-1"]["at"].min() < -50 and made["near-1"]["at"].max() > 50


def test_a_number_is_right_within_tolerance_and_what_is_none_where_it_is_the_same() -> None:
    want = np.array([1, np.nan, np.inf, -np.inf, np.inf, 0], np.float32)
    found = np.array([1.001, np.nan, np.inf, np.inf, 3e38, np.nan], np.float32)
    limit = {"absolute": 1e-2, "relative": 0.0}
    assert within(want, found, limit).tolist() == [True, True, True, False, False, False]
    large = np.array([2**62 + 1])
    exact = {"absolute": 0.0, "relative": 0.0}
    assert not within(large, large - 1, exact).any() and within(large, large, exact).all()


def test_the_run_that_a_crash_ended_is_known() -> None:
    lines = ["0 given started", "0 given ok", "3 stress/nan started"]
    assert outcomes(lines, "crashed (-11)") == {
        (0, "given"): "ok",
        (3, "stress/nan"): "crashed (-11)",
    }
