"""The table of docs/conformance.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ci.conformance.results import Result, by_operator, summary

_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"


def rewritten(text: str, results: Sequence[Result]) -> str:
    """Return the page with its results replaced."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{_results(results)}\n{_END}{after}"


def _results(results: Sequence[Result]) -> str:
    counted = [result for result in results if result.counts]
    lines = [f"**{summary(results)}** of {len(results)} tests in all.", "", "### By operator", ""]
    lines += ["| operator | pass | of |", "| --- | ---: | ---: |"]
    for operator, group in by_operator(counted).items():
        passed = sum(result.passes for result in group)
        lines.append(f"| {operator} | {passed} | {len(group)} |")
    lines += [
        "",
        "### What does not pass",
        "",
        "| test | verdict | reason |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {result.name} | {result.verdict} | {_cell(result.reason)} |"
        for result in counted
        if not result.passes
    ]
    lines += ["", "### What does not count", "", "| reason | tests |", "| --- | ---: |"]
    excluded = Counter(r.reason.partition(":")[0] for r in results if not r.counts)
    lines += [f"| {_cell(reason)} | {count} |" for reason, count in excluded.most_common()]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]
