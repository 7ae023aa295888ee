"""Which report suits the place where the output goes."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Protocol

from builder.cli.clock import SystemClock
from builder.model.event import Event
from builder.report.json_report import JsonReport
from builder.report.plain import PlainReport


class Report(AbstractContextManager[object], Protocol):
    """Takes the events of one build between being entered and being left."""

    def __call__(self, event: Event) -> None: ...


def choose_report(*, as_json: bool, verbose: bool, plain: bool) -> Report:
    """Return the report for standard output; live only on a terminal that may be redrawn."""
    if as_json:
        return JsonReport(sys.stdout, log=sys.stderr if verbose else None)
    if plain or not sys.stdout.isatty():
        return PlainReport(sys.stdout, verbose=verbose)
    from builder.report.terminal import TerminalReport  # rich takes 60 ms

    return TerminalReport(sys.stdout, SystemClock(), verbose=verbose)
