"""``boardwright tune``: measure tiles on this machine and keep what is faster."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from builder.cli.binding import read_binding
from builder.cli.configuration import Settings, Wishes, find_project, read_project, settle
from builder.cli.environment import Environment, read_environment
from builder.cli.installation import parsed_values, read_matrix
from builder.cli.options import (
    binding_options,
    json_option,
    target_folders_option,
    target_option,
    toolchain_option,
)
from builder.cli.records import FOLDER, find_records
from builder.cli.steps import Desk
from builder.cli.toolchains import Choice
from builder.effects.machine import cpu_name, survey_machine
from builder.effects.tuning_records import keep, read_records
from builder.errors import Interrupted, UsageError
from builder.matrix import load, names, select
from builder.model.source import Source
from builder.model.target import Target
from builder.model.tuning import TuningRecord, heard
from builder.planning import BuildRequest, PlannedStep, ToolchainOf, plan_tuning, tunable_here
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

_UNITS = {"s": 1, "m": 60, "h": 3600}


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if not (written := re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", str(value))):
            self.fail(f"{value!r} is no duration: write 90s, 2m or 1h", param, ctx)
        return float(written[1]) * _UNITS[written[2] or "s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of ``tune``, as click gives them; ``budget`` is in seconds."""

    model: Path | None
    targets: tuple[str, ...]
    shapes: tuple[str, ...]
    dims: tuple[str, ...]
    freezes: tuple[str, ...]
    budget: float
    again: bool
    out: Path | None
    toolchain: Choice
    target_folders: tuple[Path, ...]
    as_json: bool
    verbose: bool


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@target_option
@binding_options
@click.option("--budget", type=_Duration(), default="2m", help="Measure for so long [2m].")
@click.option("--again", is_flag=True, help="Measure also what records know already.")
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where records go [the project's tuning folder, else the user's].",
)
@toolchain_option
@target_folders_option
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show what the tools say.")
def command(**options: Any) -> int:
    """Measure which tiles of MODEL's kernels are the fastest on this machine.

    The target must be one that this machine runs itself. What is measured is kept as records, and
    builds on the same CPU and compiler version use them.
    """
    return tune(Flags(**options), read_environment())


def tune(flags: Flags, environment: Environment) -> int:
    """Measure until all is known or time is up, keep each record at once; return the exit code."""
    settings = _settings(flags, environment)
    target = _target(flags, settings)
    desk = Desk.of(flags.toolchain, (target,), environment)
    keeper = _Keeper(
        compiler=compiler_name(dict(desk.toolchains.versions)),
        folder=flags.out or _folder(settings, environment),
        locks=environment.cache_root / "locks",
        report=_report(flags, plain=environment.plain),
    )
    records = _known(settings, desk, keeper)
    _measure(flags, settings, target, desk, records, keeper)
    if flags.as_json:
        write_json(sys.stdout, document(target.name, keeper.folder, keeper.kept, keeper.left))
    else:
        lines = summary_lines(target.name, keeper.folder, keeper.kept, keeper.left)
        click.echo("\n".join(lines))
    return 0


@dataclass(slots=True, kw_only=True)
class _Keeper:
    """Listens to the payload, and keeps each finding as soon as it is told."""

    compiler: str
    folder: Path
    locks: Path
    report: TuningReport
    machine: str = field(default_factory=cpu_name)
    kept: list[TuningRecord] = field(default_factory=list)
    left: int = 0

    def hear(self, line: str) -> None:
        record = self._record(line)
        if record is None:
            self.report.log(line)
            return
        keep((record,), self.folder, self.locks)
        self.kept.append(record)
        self.report.found(record)

    def _record(self, line: str) -> TuningRecord | None:
        if (told := heard(line)) is None:
            return None
        self.left, fields = told
        return record_from(fields, compiler=self.compiler, machine=self.machine)


def _known(settings: Settings, desk: Desk, keeper: _Keeper) -> tuple[TuningRecord, ...]:
    """Return what a build would go by, and what an earlier run has put where this one will."""
    found = find_records(settings.project, desk.environment, dict(desk.toolchains.versions))
    return (*found, *known([read_records(keeper.folder)], keeper.compiler))


def _measure(
    flags: Flags,
    settings: Settings,
    target: Target,
    desk: Desk,
    records: tuple[TuningRecord, ...],
    keeper: _Keeper,
) -> None:
    def planned(
        request: BuildRequest, source: Source, toolchain_of: ToolchainOf
    ) -> tuple[PlannedStep, ...]:
        informed = replace(request, records=records)
        return plan_tuning(
            informed, source, target, toolchain_of, budget_s=flags.budget, again=flags.again
        )

    try:
        with keeper.report:
            desk.listen(settings, planned, keeper.hear, verbose=flags.verbose)
    except Interrupted as stopped:
        raise _stopped(keeper, stopped) from None


def _settings(flags: Flags, environment: Environment) -> Settings:
    cwd = Path.cwd()
    file = find_project(cwd)
    binding, frozen_file = read_binding(flags.shapes, flags.dims, flags.freezes)
    wishes = Wishes(
        model=flags.model, patterns=flags.targets, binding=binding, frozen_file=frozen_file
    )
    project = read_project(file, parsed_values(environment.cache_root)) if file else None
    return settle(wishes, project, file.parent if file else cwd)


def _target(flags: Flags, settings: Settings) -> Target:
    """Return the one target that is meant and that this machine is.

    Raises ``UsageError``: ``cannot-tune``, ``several-targets``.
    """
    texts = read_matrix(flags.target_folders)
    machine = survey_machine((), search_path="")
    targets = select(texts, settings.patterns)
    here = [target for target in targets if tunable_here(target, machine)]
    if not here:
        tunable = [n for n in names(texts) if tunable_here(load(texts, n), machine)]
        raise UsageError(
            f"this machine cannot measure kernels of {', '.join(t.name for t in targets)}",
            reason="cannot-tune",
            why="tiles are timed by running them, and this is another CPU",
            remedy=f"tune there, or for a target that this machine is: {', '.join(tunable)}",
            details={"tunable": tunable},
        )
    if len({target.cpu for target in here}) > 1:
        raise UsageError(
            "one CPU at a time is tuned",
            reason="several-targets",
            why=f"this machine is {', '.join(target.name for target in here)}",
            remedy=f"add --target {here[0].name}",
        )
    return here[0]


def _report(flags: Flags, *, plain: bool) -> TuningReport:
    if flags.as_json:
        return PlainTuning(None, verbose=False)
    if plain or not sys.stdout.isatty():
        return PlainTuning(sys.stdout, verbose=flags.verbose)
    return TerminalTuning(sys.stdout, verbose=flags.verbose)


def _folder(settings: Settings, environment: Environment) -> Path:
    return settings.project / FOLDER if settings.project else environment.tuning_folder


def _stopped(keeper: _Keeper, stopped: Interrupted) -> Interrupted:
    return Interrupted(
        stopped.what,
        reason=stopped.reason,
        state=f"{len(keeper.kept)} records are kept in {keeper.folder}",
        remedy="run the same command again to go on from there",
    )
