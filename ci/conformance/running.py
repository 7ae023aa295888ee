"""Cases to results: compiled side by side, run in one program, compared with what the test says."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.signature import read_signature
from builder.model.target import Target
from builder.payload.tools import Zig
from ci.conformance.batch import Batch
from ci.conformance.cases import Case
from ci.conformance.compiling import compiling
from ci.conformance.farm import Answer, Job, perform
from ci.conformance.reference import agrees
from ci.conformance.results import Result


def run(
    cases: Sequence[Case], target: Target, folder: Path, *, processes: int, limit_s: int
) -> list[Result]:
    """Compile the cases, run them in one program, and compare."""
    jobs = [
        Job(
            number=number,
            folder=folder / str(number),
            work=compiling(case, target.platform, target.cpu, f"c{number}_"),
        )
        for number, case in enumerate(cases)
    ]
    answers = dict(_told(perform(jobs, processes=processes, limit_s=limit_s), len(jobs)))
    compiled = sorted(n for n, answer in answers.items() if answer.get("verdict") == "compiled")
    zig = Zig(cache=folder / "zig", log=print)
    batch = Batch(folder=folder, platform=target.platform, emulator=target.emulator, zig=zig)
    outcomes = batch.run(compiled)
    return [
        _judged(case, answers[number], outcomes.get(number), folder / str(number))
        for number, case in enumerate(cases)
    ]


def _told(answers: Iterable[tuple[int, Answer]], total: int) -> Iterator[tuple[int, Answer]]:
    """Pass the answers on; say on a terminal how many there were."""
    for count, answer in enumerate(answers, 1):
        if count % 100 == 0 and sys.stderr.isatty():
            print(f"{count}/{total}", file=sys.stderr)
        yield answer


def _judged(case: Case, answer: Answer, outcome: str | None, folder: Path) -> Result:
    result = partial(Result, name=case.name, operator=case.operator)
    if "died" in answer:
        return result(verdict="failed", reason=f"the compiler died: {answer['died']}")
    if answer["verdict"] != "compiled":
        return result(verdict=answer["verdict"], reason=answer["reason"])
    if outcome != "ok":
        return result(verdict="failed", reason=f"the library {outcome}")
    wrong = _wrong_outputs(case, folder)
    if wrong:
        return result(verdict="wrong", reason=wrong)
    return result(verdict="pass")


def _wrong_outputs(case: Case, folder: Path) -> str:
    """Return what is wrong with the first output that is not as the test wants it, or nothing."""
    signature = read_signature(folder / "prepared")
    for number, spec in enumerate(signature.outputs):
        raw = (folder / f"out{number}.bin").read_bytes()
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
