"""What came of the cases: as JSON, as a table, and against what was expected."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One case's verdict: pass, excluded, refused, failed or wrong; and why, where not a pass."""

    name: str
    operator: str
    verdict: str
    reason: str = ""

    @property
    def counts(self) -> bool:
        return self.verdict != "excluded"

    @property
    def passes(self) -> bool:
        return self.verdict == "pass"


def summary(results: Iterable[Result]) -> str:
    """Return the figure of merit as a line."""
    counted = [result for result in results if result.counts]
    passed = sum(result.passes for result in counted)
    share = 100 * passed / len(counted) if counted else 0.0
    return f"{passed} of {len(counted)} pass ({share:.1f}%)"


def write_json(results: Iterable[Result], path: Path) -> None:
    """Write everything known of every case."""
    path.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n", encoding="utf-8")


def expected_of(results: Iterable[Result]) -> dict[str, str]:
    """Return the verdict by name, of cases that count."""
    return {result.name: result.verdict for result in results if result.counts}


def regressions(results: Iterable[Result], expected: Mapping[str, str]) -> list[Result]:
    """Return the results that do not pass although they are expected to."""
    return [r for r in results if not r.passes and expected.get(r.name) == "pass"]


def by_operator(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results by operator, in alphabetical order."""
    grouped: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        grouped[result.operator].append(result)
    return dict(sorted(grouped.items()))
