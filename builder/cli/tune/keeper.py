"""What keeps findings as records, and tells of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from builder.cli.configuration import Settings
from builder.cli.environment import Environment
from builder.cli.records import FOLDER, find_records
from builder.effects.tuning_records import keep, read_records
from builder.errors import Interrupted
from builder.model.tuning import Finding, TuningRecord, heard
from builder.report.json_report import write_json
from builder.report.tuning import (
    PlainTuning,
    TerminalTuning,
    TuningReport,
    document,
    summary_lines,
)
from builder.tuning.records import record_from
from builder.tuning.selection import compiler_name, known


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Keeps each finding as soon as it is told; ``machine`` is what it was measured on."""

    compiler: str
    folder: Path
    locks: Path
    report: TuningReport
    machine: str
    kept: list[TuningRecord] = field(default_factory=list)
    left: int = 0

    @classmethod
    def of(
        cls,
        versions: Mapping[str, str],
        settings: Settings,
        out: Path | None,
        environment: Environment,
        report: TuningReport,
        machine: str,
    ) -> Keeper:
        own = settings.project / FOLDER if settings.project else environment.tuning_folder
        return cls(
            compiler=compiler_name(versions),
            folder=out or own,
            locks=environment.cache_root / "locks",
            report=report,
            machine=machine,
        )

    def hear(self, line: str) -> None:
        """Take a line of the payload's, which may be a finding."""
        if (told := heard(line)) is not None:
            self.left, fields = told
            record = record_from(fields, compiler=self.compiler, machine=self.machine)
            if record is not None:
                self._keep((record,))
                return
        self.report.log(line)

    def take(self, findings: Sequence[Finding]) -> None:
        """Take all findings at once."""
        self._keep(
            [
                TuningRecord(**asdict(finding), compiler=self.compiler, machine=self.machine)
                for finding in findings
            ]
        )

    def known(
        self, settings: Settings, environment: Environment, versions: Mapping[str, str]
    ) -> tuple[TuningRecord, ...]:
        """Return what a build would go by, and what an earlier run has put where this one will."""
        found = find_records(settings.project, environment, versions)
        return (*found, *known([read_records(self.folder)], self.compiler))

    def stopped(self, stopped: Interrupted) -> Interrupted:
        """Return the failure with what is kept all the same."""
        return Interrupted(
            stopped.what,
            reason=stopped.reason,
            state=f"{len(self.kept)} records are kept in {self.folder}",
            remedy="run the same command again to go on from there",
        )

    def conclude(self, target: str, *, as_json: bool) -> None:
        """Print what tuning came to."""
        if as_json:
            write_json(sys.stdout, document(target, self.folder, self.kept, self.left))
        else:
            click.echo("\n".join(summary_lines(target, self.folder, self.kept, self.left)))

    def _keep(self, records: Sequence[TuningRecord]) -> None:
        keep(records, self.folder, self.locks)
        self.kept.extend(records)
        for record in records:
            self.report.found(record)


def choose_report(*, as_json: bool, verbose: bool, plain: bool) -> TuningReport:
    """Return what tells how tuning goes on."""
    if as_json:
        return PlainTuning(None, verbose=False)
    if plain or not sys.stdout.isatty():
        return PlainTuning(sys.stdout, verbose=verbose)
    return TerminalTuning(sys.stdout, verbose=verbose)
