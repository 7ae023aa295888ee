"""The table of docs/conformance.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ci.conformance.results import Result, by_operator, summary


def rewritten(text: str, name: str, section: str) -> str:
    """Return the page with its part about the target called ``name`` replaced."""
    begin, end = f"<!-- results of {name} -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    assert found and closed, f"the page has no place for {name}"
    return f"{before}{begin}\n\n{section}\n{end}{after}"


def whole(results: Sequence[Result]) -> str:
    """Return what is told of a run of all cases."""
    counted = [result for result in results if result.counts]
    lines = [f"**{summary(results)}** of {len(results)} tests in all.", "", "### By operator", ""]
    lines += ["| operator | pass | of |", "| --- | ---: | ---: |"]
    for operator, group in by_operator(counted).items():
        passed = sum(result.passes for result in group)
        lines.append(f"| {operator} | {passed} | {len(group)} |")
    lines += ["", "### What does not pass", "", *_failures(counted)]
    lines += ["", "### What does not count", "", "| reason | tests |", "| --- | ---: |"]
    excluded = Counter(r.reason.partition(":")[0] for r in results if not r.counts)
    lines += [f"| {cell(reason)} | {count} |" for reason, count in excluded.most_common()]
    return "\n".join(lines) + "\n"


def sampled(results: Sequence[Result]) -> str:
    """Return what is told of a run of some cases."""
    counted = [result for result in results if result.counts]
    lines = [f"**{summary(counted)}**, of {len(by_operator(counted))} operators."]
    if not all(result.passes for result in counted):
        lines += ["", *_failures(counted)]
    return "\n".join(lines) + "\n"


def _failures(results: Sequence[Result]) -> list[str]:
    return [
        "| test | verdict | reason |",
        "| --- | --- | --- |",
        *(
            f"| {result.name} | {result.verdict} | {cell(result.reason)} |"
            for result in results
            if not result.passes
        ),
    ]


def cell(text: str) -> str:
    """Return text as a cell of a table holds it: one line, not too long."""
    return text.replace("|", "\\|").replace("\n", " ")[:200]
