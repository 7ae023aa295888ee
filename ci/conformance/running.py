"""Cases to results: compiled side by side, run in one program, compared with what the test says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.signature import read_signature
from ci.conformance.building import Workplace, compiled
from ci.conformance.cases import Case
from ci.conformance.compiling import GIVEN
from ci.conformance.farm import Answer
from ci.conformance.reference import agrees
from ci.conformance.results import Result


def run(cases: Mapping[int, Case], place: Workplace, *, guarded: bool = False) -> list[Result]:
    """Compile the cases, run them in one program, and compare.

    ``guarded`` runs them between guard pages, where a stray access is a result.
    """
    answers = place.compile(cases)
    batch = place.batch(guarded=guarded)
    outcomes = batch.run([(number, GIVEN) for number in compiled(answers)])
    return [
        _judged(case, answers[number], outcomes.get((number, GIVEN)), place.of(number))
        for number, case in cases.items()
    ]


def unbuilt(case: Case, answer: Answer) -> Result | None:
    """Return the result of a case that did not come so far that it can be run."""
    result = partial(Result, name=case.name, operator=case.operator)
    if "died" in answer:
        return result(verdict="failed", reason=f"the compiler died: {answer['died']}")
    if answer["verdict"] != "compiled":
        return result(verdict=answer["verdict"], reason=answer["reason"])
    return None


def unrun(name: str, operator: str, outcome: str | None) -> Result | None:
    """Return the result of a run that did not come to its end."""
    if outcome == "ok":
        return None
    verdict, _, reason = str(outcome).partition(" ")
    if verdict == "strayed":
        reason = f"reads or writes outside its tensors: {reason}"
        return Result(name=name, operator=operator, verdict=verdict, reason=reason)
    return Result(name=name, operator=operator, verdict="failed", reason=f"the library {outcome}")


def _judged(case: Case, answer: Answer, outcome: str | None, folder: Path) -> Result:
    early = unbuilt(case, answer) or unrun(case.name, case.operator, outcome)
    if early:
        return early
    wrong = _wrong_outputs(case, folder)
    verdict = "wrong" if wrong else "pass"
    return Result(name=case.name, operator=case.operator, verdict=verdict, reason=wrong)


def _wrong_outputs(case: Case, folder: Path) -> str:
    """Return what is wrong with the first output that is not as the test wants it, or nothing."""
    signature = read_signature(folder / "prepared")
    for number, spec in enumerate(signature.outputs):
        raw = (folder / GIVEN / f"out{number}.bin").read_bytes()
        actual = np.frombuffer(raw, dtype=spec.dtype).reshape(spec.shape)
        expected = np.asarray(case.outputs[spec.name])
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            found = f"{actual.dtype} {list(actual.shape)}"
            return f"{spec.name} is {found}, not {expected.dtype} {list(expected.shape)}"
        if not agrees(case, expected, actual):
            return f"{spec.name} differs: {_difference(expected, actual)}"
    return ""


def _difference(expected: npt.NDArray[Any], actual: npt.NDArray[Any]) -> str:
    with np.errstate(all="ignore"):
        distance = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    odd = int((np.isnan(distance)).sum())
    return f"{np.nanmax(distance, initial=0.0):.3g} at most, {odd} not a number"
