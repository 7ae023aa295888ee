"""Cases compiled side by side, in numbered folders."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.model.target import Target
from builder.payload.tools import Zig
from ci.conformance.batch import Batch
from ci.conformance.cases import Case
from ci.conformance.compiling import compiling
from ci.conformance.farm import Answer, Job, perform


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where cases are compiled and for what; ``limit_s`` is of CPU time, for one case."""

    folder: Path
    target: Target
    processes: int
    limit_s: int

    def of(self, number: int) -> Path:
        """Return the folder of a case."""
        return self.folder / str(number)

    def compile(self, cases: Mapping[int, Case]) -> dict[int, Answer]:
        """Compile what this folder does not have yet; return the answers of all."""
        platform, cpu = self.target.platform, self.target.cpu
        missing = [number for number in cases if not self._answer(number).exists()]
        jobs = [
            Job(
                number=number,
                folder=self.of(number),
                work=compiling(cases[number], platform, cpu, f"c{number}_"),
            )
            for number in missing
        ]
        done = self.perform(jobs)
        return {
            number: done[number]
            if number in done
            else json.loads(self._answer(number).read_text(encoding="utf-8"))
            for number in cases
        }

    def perform(self, jobs: Iterable[Job]) -> dict[int, Answer]:
        """Do the jobs side by side."""
        listed = list(jobs)
        answers = perform(listed, processes=self.processes, limit_s=self.limit_s)
        return dict(_told(answers, len(listed)))

    def batch(self, *, guarded: bool) -> Batch:
        """Return what links and runs compiled cases."""
        return Batch(
            folder=self.folder,
            platform=self.target.platform,
            emulator=self.target.emulator,
            zig=Zig(cache=self.folder / "zig", log=print),
            guarded=guarded,
        )

    def _answer(self, number: int) -> Path:
        return self.of(number) / "answer.json"


def compiled(answers: Mapping[int, Answer]) -> list[int]:
    """Return the numbers of the cases that can be run."""
    return sorted(n for n, answer in answers.items() if answer.get("verdict") == "compiled")


def _told(answers: Iterable[tuple[int, Answer]], total: int) -> Iterator[tuple[int, Answer]]:
    """Pass the answers on; say on a terminal how many there were."""
    for count, answer in enumerate(answers, 1):
        if count % 100 == 0 and sys.stderr.isatty():
            print(f"{count}/{total}", file=sys.stderr)
        yield answer
