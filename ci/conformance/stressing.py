"""Every case again with data that the test did not choose, ONNX Runtime beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from builder.compiler.signature import read_signature
from ci.conformance.asking import asking
from ci.conformance.batch import Run
from ci.conformance.building import Workplace, compiled
from ci.conformance.cases import Case
from ci.conformance.comparing import difference
from ci.conformance.farm import Job
from ci.conformance.other_data import variants
from ci.conformance.results import Result
from ci.conformance.running import unrun

_FOLDER = "stress"


def stress(cases: Mapping[int, Case], place: Workplace, *, guarded: bool = False) -> list[Result]:
    """Compile the cases; return a result for each kind of data, named "CASE KIND".

    Cases that do not build are told of elsewhere. What ONNX Runtime does not compute is excluded.
    """
    built = compiled(place.compile(cases))
    answers = place.perform(
        Job(
            number=number,
            folder=place.of(number) / _FOLDER,
            work=asking(cases[number], variants, place.of(number) / "prepared"),
        )
        for number in built
    )
    asked = [(n, f"{_FOLDER}/{name}") for n in built for name in answers[n].get("sets", ())]
    refusals = {run: _refusal(place, run) for run in asked}
    runs = [run for run in asked if not refusals[run]]
    outcomes = place.batch(guarded=guarded).run(runs)
    return [_judged(cases[run[0]], place, run, refusals[run], outcomes.get(run)) for run in asked]


def _refusal(place: Workplace, run: Run) -> str:
    number, name = run
    asked = (place.of(number) / name / "asked.json").read_text(encoding="utf-8")
    return str(json.loads(asked).get("refused", ""))


def _judged(case: Case, place: Workplace, run: Run, refusal: str, outcome: str | None) -> Result:
    number, kind = run
    name = f"{case.name} {Path(kind).name}"
    if refusal:
        return Result(name=name, operator=case.operator, verdict="excluded", reason=refusal)
    early = unrun(name, case.operator, outcome)
    if early:
        return early
    signature = read_signature(place.of(number) / "prepared")
    wrong = difference(place.of(number) / kind, signature.outputs)
    verdict = "wrong" if wrong else "pass"
    return Result(name=name, operator=case.operator, verdict=verdict, reason=wrong)
