"""What of other data differs from ONNX Runtime: the record of it, and what is told of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ci.conformance.page import cell
from ci.conformance.reasons import reason
from ci.conformance.results import Result, summary

Record = dict[str, Any]
"""``counted``, ``passing``, and ``differs``: operator -> kind of data -> names of cases."""


def record_of(results: Sequence[Result]) -> Record:
    """Return what is kept of a run of all cases."""
    differs: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for result in _failing(results):
        case, kind = _parts(result)
        differs[result.operator][kind].append(case)
    counted = [result for result in results if result.counts]
    passing = sum(result.passes for result in counted)
    return {"counted": len(counted), "passing": passing, "differs": differs}


def new_differences(results: Iterable[Result], record: Record) -> list[Result]:
    """Return what differs although the record does not say so."""
    return [
        result
        for result in _failing(results)
        if _parts(result)[0]
        not in record["differs"].get(result.operator, {}).get(_parts(result)[1], ())
    ]


def section(results: Sequence[Result]) -> str:
    """Return what the page tells of a run."""
    lines = [f"**{summary(results)}**.", "", "| data | pass | of |", "| --- | ---: | ---: |"]
    by_kind: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.counts:
            by_kind[_parts(result)[1]].append(result)
    for kind, group in by_kind.items():
        lines.append(f"| {kind} | {sum(result.passes for result in group)} | {len(group)} |")
    failing = _failing(results)
    return "\n".join([*lines, *(["", *_differences(failing)] if failing else [])]) + "\n"


def _differences(failing: Iterable[Result]) -> list[str]:
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in failing:
        groups[result.operator, _parts(result)[1]].append(result)
    return [
        "| operator | data | cases | one of them | why |",
        "| --- | --- | ---: | --- | --- |",
        *(
            f"| {operator} | {kind} | {len(group)} |"
            f" {_parts(group[0])[0]}: {cell(group[0].reason)} | {reason(operator, kind)} |"
            for (operator, kind), group in sorted(groups.items())
        ),
    ]


def _failing(results: Iterable[Result]) -> list[Result]:
    return [result for result in results if result.counts and not result.passes]


def _parts(result: Result) -> tuple[str, str]:
    case, _, kind = result.name.rpartition(" ")
    return case, kind
