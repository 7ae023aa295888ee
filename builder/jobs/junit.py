"""Outcomes as JUnit XML, which GitLab, GitHub actions and Jenkins show as test results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from builder.jobs.outcomes import Outcome

# XML 1.0, production 2: everything else cannot be written, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def junit_xml(outcomes: Sequence[Outcome]) -> bytes:
    """Return a report with a suite for each kind of outcome, as UTF-8."""
    root = Element("testsuites", _counts(outcomes))
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        members = [outcome for outcome in outcomes if outcome.kind == kind]
        suite = SubElement(root, "testsuite", {"name": kind, **_counts(members)})
        for outcome in members:
            _add_case(suite, outcome)
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_case(suite: Element, outcome: Outcome) -> None:
    case = SubElement(
        suite,
        "testcase",
        {
            "classname": f"boardwright.{outcome.kind}",
            "name": _clean(outcome.name),
            "time": _seconds(outcome.seconds or 0.0),
        },
    )
    if outcome.failure is not None:
        said = {"type": _clean(outcome.failure.reason), "message": _clean(outcome.failure.what)}
        SubElement(case, "failure", said).text = _clean(str(outcome.failure))
    if outcome.figures:
        lines = (f"{name}: {value}" for name, value in outcome.figures)
        SubElement(case, "system-out").text = _clean("\n".join(lines))


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    return {
        "tests": str(len(outcomes)),
        "failures": str(sum(outcome.failure is not None for outcome in outcomes)),
        "time": _seconds(sum(outcome.seconds or 0.0 for outcome in outcomes)),
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _clean(text: str) -> str:
    return _NOT_XML.sub(_REPLACEMENT, text)
