"""What becomes of measurements: saved, shown, and judged into an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from builder.bench.comparison import refuse_regression
from builder.bench.result import Measurement
from builder.bench.validity import refuse_invalid
from builder.boards.measure import Outcome
from builder.cli.failure import say
from builder.effects.results import save_result
from builder.errors import BoardwrightError, MeasurementInvalid
from builder.report.bench_view import bench_document, bench_lines, without_samples
from builder.report.json_report import write_json


class Ledger:
    """Measurements and the files they were saved as, from any thread, in the order saved.

    ``allowed`` is how much slower than its baseline a measurement may be, None: any.
    """

    def __init__(self, out: Path, allowed: float | None) -> None:
        self.entries: list[tuple[Measurement, Path]] = []
        self.baselines: list[Measurement] = []
        self._out = out
        self._allowed = allowed

    def documents(self, device: str) -> list[dict[str, Any]]:
        """Return what was measured on one device, without the raw samples."""
        return [
            without_samples(measurement, path)
            for measurement, path in self.entries
            if measurement.board.device == device
        ]

    def settle(self, outcomes: Iterable[Outcome]) -> list[Measurement]:
        """Save everything; return the new side of each when all is valid and fast enough.

        Raises the first failure: what ended a measurement, ``MeasurementInvalid``, or
        ``PerformanceRegression``.
        """
        saved = [(outcome, self._save(outcome)) for outcome in outcomes]
        for outcome, entries in saved:
            self._judge(outcome, entries)
        return [outcome.new for outcome, _ in saved]

    def _save(self, outcome: Outcome) -> list[tuple[Measurement, Path]]:
        sides = (outcome.new, outcome.old) if outcome.old else (outcome.new,)
        entries = [(side, save_result(side, self._out)) for side in sides]
        self.entries += entries
        self.baselines += [outcome.old] if outcome.old else []
        return entries

    def _judge(self, outcome: Outcome, entries: Sequence[tuple[Measurement, Path]]) -> None:
        if outcome.failure is not None:
            outcome.failure.state = f"what was measured is in {entries[0][1]}, marked invalid"
            raise outcome.failure
        for side, path in entries:
            refuse_invalid(side.problems, where=side.board.device, state=f"saved as {path}")
        if self._allowed is not None:
            where = outcome.new.board.device
            if (comparison := outcome.new.comparison) is None:
                raise _no_comparison(where, entries[0][1])
            refuse_regression(comparison, self._allowed, where=where)


def _no_comparison(where: str, path: Path) -> MeasurementInvalid:
    return MeasurementInvalid(
        "too few turns of old and new to tell whether it became slower",
        reason="no-comparison",
        where=where,
        state=f"saved as {path}",
        remedy="measure for longer: --sustained MINUTES, or --blocks without it",
    )


def conclude(ledger: Ledger, failures: Sequence[BoardwrightError], *, as_json: bool) -> int:
    """Print all there is; return the first failure's exit code, 0 where there is none."""
    if as_json:
        errors = [failure.to_json() for failure in failures]
        write_json(sys.stdout, bench_document(ledger.entries, errors))
    else:
        show(ledger)
        for failure in failures:
            say(failure)
    return failures[0].exit_code if failures else 0


def show(ledger: Ledger) -> None:
    """Print measurements for people, and where they are kept."""
    if ledger.entries:
        measurements = [measurement for measurement, _ in ledger.entries]
        click.echo("\n".join(bench_lines(measurements, ledger.baselines)))
    for _, path in ledger.entries:
        click.echo(f"saved: {path}")
