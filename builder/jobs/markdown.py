"""Outcomes as Markdown, for a job's summary page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.jobs.outcomes import Outcome
from builder.templating import md


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return a table of outcomes, then the failures in full."""
    return "".join(f"{line}\n" for line in _lines(outcomes))


def _lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "| | what | which | seconds | figures |"
    yield "| --- | --- | --- | ---: | --- |"
    for outcome in outcomes:
        yield _row(outcome)
    for outcome in outcomes:
        if outcome.failure is not None:
            yield ""
            yield f"**{md(outcome.kind)} {md(outcome.name)}**: {md(str(outcome.failure))}"


def _row(outcome: Outcome) -> str:
    cells = (
        "failed" if outcome.failure else "ok",
        outcome.kind,
        outcome.name,
        "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
        ", ".join(f"{name} {value}" for name, value in outcome.figures),
    )
    return f"| {' | '.join(map(md, cells))} |"
