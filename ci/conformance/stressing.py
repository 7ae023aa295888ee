"""Every case again with data that the test did not choose, ONNX Runtime beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.compiler.signature import read_signature
from ci.conformance.asking import Make, asking
from ci.conformance.batch import Run
from ci.conformance.building import Workplace, compiled
from ci.conformance.cases import Case
from ci.conformance.comparing import difference
from ci.conformance.farm import Job
from ci.conformance.other_data import hostile_integers, variants
from ci.conformance.results import Result
from ci.conformance.running import unrun


def stress(cases: Mapping[int, Case], place: Workplace, *, guarded: bool = False) -> list[Result]:
    """Compile the cases; return a result for each kind of data, named "CASE KIND".

    Cases that do not build are told of elsewhere. What ONNX Runtime does not compute is excluded.
    """
    asked = _ask(cases, place, "stress", variants)
    runs = [one.run for one in asked if not one.refusal]
    outcomes = place.batch(guarded=guarded).run(runs)
    return [_judged(one, outcomes.get(one.run)) for one in asked]


def attack(cases: Mapping[int, Case], place: Workplace) -> list[Result]:
    """Feed integers that mean nothing, between guard pages; return a result for each kind.

    Right is what ONNX Runtime computes, or an error; where ONNX Runtime refuses, anything but an
    access outside of tensors or a signal.
    """
    asked = _ask(cases, place, "hostile", hostile_integers)
    outcomes = place.batch(guarded=True).run([one.run for one in asked])
    return [_survived(one, outcomes[one.run]) for one in asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A set of inputs for a case; ``refusal`` is why ONNX Runtime computes nothing, if so."""

    case: Case
    folder: Path
    run: Run
    refusal: str

    @property
    def name(self) -> str:
        return f"{self.case.name} {Path(self.run[1]).name}"

    def difference(self) -> str:
        """Return what is wrong with the outputs, or nothing."""
        outputs = read_signature(self.folder / "prepared").outputs
        return difference(self.folder / self.run[1], outputs)

    def result(self, verdict: str, reason: str = "") -> Result:
        return Result(name=self.name, operator=self.case.operator, verdict=verdict, reason=reason)


def _ask(cases: Mapping[int, Case], place: Workplace, kind: str, make: Make) -> list[_Asked]:
    """Compile the cases and have ONNX Runtime compute what ``make`` makes of them."""
    built = compiled(place.compile(cases))
    answers = place.perform(
        Job(
            number=number,
            folder=place.of(number) / kind,
            work=asking(cases[number], make, place.of(number) / "prepared"),
        )
        for number in built
    )
    return [
        _Asked(
            case=cases[number],
            folder=place.of(number),
            run=(number, f"{kind}/{name}"),
            refusal=_refusal(place.of(number) / kind / name),
        )
        for number in built
        for name in answers[number].get("sets", ())
    ]


def _refusal(folder: Path) -> str:
    asked = (folder / "asked.json").read_text(encoding="utf-8")
    return str(json.loads(asked).get("refused", ""))


def _judged(asked: _Asked, outcome: str | None) -> Result:
    if asked.refusal:
        return asked.result("excluded", asked.refusal)
    early = unrun(asked.name, asked.case.operator, outcome)
    if early:
        return early
    wrong = asked.difference()
    return asked.result("wrong" if wrong else "pass", wrong)


def _survived(asked: _Asked, outcome: str) -> Result:
    if outcome.startswith("failed ") or (outcome == "ok" and asked.refusal):
        return asked.result("pass")
    early = unrun(asked.name, asked.case.operator, outcome)
    if early:
        return early
    wrong = asked.difference()
    return asked.result("wrong" if wrong else "pass", wrong)
