"""Tune on this machine: the payload runs single kernels and tells what it finds."""

from __future__ import annotations

from dataclasses import replace

from builder.cli.configuration import Settings
from builder.cli.environment import Environment
from builder.cli.installation import read_matrix
from builder.cli.steps import Desk
from builder.cli.tune.keeper import Keeper, choose_report
from builder.cli.tune.request import Flags, settings_of
from builder.effects.machine import cpu_name, survey_machine
from builder.errors import Interrupted, UsageError
from builder.matrix import load, names, select
from builder.model.source import Source
from builder.model.target import Target
from builder.model.tuning import TuningRecord
from builder.planning import BuildRequest, PlannedStep, ToolchainOf, plan_tuning, tunable_here


def tune_here(flags: Flags, environment: Environment) -> int:
    """Measure until all is known or time is up, keep each record at once; return the exit code."""
    settings = settings_of(flags, flags.targets, environment)
    target = _target(flags, settings)
    desk = Desk.of(flags.toolchain, (target,), environment)
    versions = dict(desk.toolchains.versions)
    report = choose_report(as_json=flags.as_json, verbose=flags.verbose, plain=environment.plain)
    keeper = Keeper.of(versions, settings, flags.out, environment, report, cpu_name())
    records = keeper.known(settings, environment, versions)
    _measure(flags, settings, target, desk, records, keeper)
    keeper.conclude(target.name, as_json=flags.as_json)
    return 0


def _measure(
    flags: Flags,
    settings: Settings,
    target: Target,
    desk: Desk,
    records: tuple[TuningRecord, ...],
    keeper: Keeper,
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
        raise keeper.stopped(stopped) from None


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
            remedy="tune on a device with --device NAME, or for a target that this machine is: "
            + ", ".join(tunable),
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
