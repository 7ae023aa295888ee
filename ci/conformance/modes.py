"""What the cases can be run for: their own data, guard pages, other data, hostile integers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.conformance import differing, page, results
from ci.conformance.building import Workplace
from ci.conformance.cases import Case
from ci.conformance.results import Result
from ci.conformance.running import run
from ci.conformance.stressing import attack, stress

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way to run cases, and what is kept and told of a whole run.

    ``section`` is the page's part; that of an empty name is called like the target.
    """

    section: str
    perform: Callable[[Mapping[int, Case], Workplace], list[Result]]
    record: Path
    record_of: Callable[[Sequence[Result]], Any] | None
    told: Callable[[Sequence[Result]], str]
    worse: Callable[[Sequence[Result], Any], list[Result]]

    def recorded(self) -> Any:
        """Return what a run must still reach."""
        return json.loads(self.record.read_text(encoding="utf-8"))

    def keep(self, found: Sequence[Result]) -> None:
        """Write what later runs must reach; guard pages have no record of their own."""
        if self.record_of is None:
            return
        text = json.dumps(self.record_of(found), indent=1, sort_keys=True)
        self.record.write_text(text + "\n", encoding="utf-8")


PLAIN = Mode(
    section="",
    perform=run,
    record=HERE / "expected.json",
    record_of=results.expected_of,
    told=page.whole,
    worse=results.regressions,
)
GUARD = Mode(
    section="guard",
    perform=lambda cases, place: run(cases, place, guarded=True),
    record=PLAIN.record,
    record_of=None,
    told=page.sampled,
    worse=results.regressions,
)
STRESS = Mode(
    section="stress",
    perform=stress,
    record=HERE / "stress.json",
    record_of=differing.record_of,
    told=differing.section,
    worse=differing.new_differences,
)
HOSTILE = Mode(
    section="hostile",
    perform=attack,
    record=HERE / "hostile.json",
    record_of=differing.record_of,
    told=differing.section,
    worse=differing.new_differences,
)
