"""Tune on a device: whole bundles with other tiles run there in turns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from builder.boards.board import Board
from builder.boards.bundle import LocalBundle, read_bundle, read_needs
from builder.boards.draft import Order
from builder.boards.lock import hold
from builder.boards.survey import probe
from builder.boards.trials import Tuned, measure_trials
from builder.cli.attached import devices_meant
from builder.cli.cancel import cancelled_by_signals
from builder.cli.environment import Environment
from builder.cli.fleet import own_name, targets_of
from builder.cli.reaching import reached
from builder.cli.steps import Desk
from builder.cli.tune.keeper import Keeper, choose_report
from builder.cli.tune.request import Flags, settings_of
from builder.deploy.layout import Holder
from builder.deploy.preflight import Needs, refuse_unfit
from builder.errors import Interrupted, UsageError
from builder.model.deployed import BoardEvent, Reached
from builder.model.device import Device
from builder.model.source import Source
from builder.model.target import Cpu, CpuVariant
from builder.model.tuning import Contest, TunedTile, cpu_label
from builder.planning import (
    BuildRequest,
    PlannedStep,
    ToolchainOf,
    best_set,
    plan_shortlist,
    plan_trial,
)
from builder.tuning.trials import load_shortlist, trials


def tune_device(name: str, flags: Flags, environment: Environment) -> int:
    """Make bundles with other tiles, measure them on a device, keep records; return the exit code.

    What the device runs does not change. Raises ``UsageError`` ``several-devices``, and as
    ``measure_trials`` does.
    """
    devices = devices_meant(environment, (name,), ())
    if len(devices) > 1:
        raise UsageError(
            "one device at a time is tuned",
            reason="several-devices",
            why=f"{name} means {', '.join(device.name for device in devices)}",
            remedy="name one of them: its records serve all boards of its CPU",
        )
    return _Tuning(devices[0], flags, environment).carry_out()


class _Tuning:
    """One model on one device."""

    def __init__(self, device: Device, flags: Flags, environment: Environment) -> None:
        self._device = device
        self._flags = flags
        self._environment = environment
        self._target = targets_of((device,), flags.target_folders, environment)[device.target]
        self._settings = settings_of(flags, (device.target,), environment)
        self._desk = Desk.of(flags.toolchain, (self._target,), environment)
        self._report = choose_report(
            as_json=flags.as_json, verbose=flags.verbose, plain=environment.plain
        )
        self._reached = partial(
            reached,
            device,
            self._target,
            environment,
            accept_new_host_key=flags.accept_new_host_key,
        )

    def carry_out(self) -> int:
        versions = dict(self._desk.toolchains.versions)
        keeper = Keeper.of(
            versions, self._settings, self._flags.out, self._environment, self._report, ""
        )
        with self._report:
            kernels = self._kernels_that_run()
            records = keeper.known(self._settings, self._environment, versions)
            known = {record.kernel for record in records if record.cpu == cpu_label(kernels)}
            contests = [
                contest
                for contest in self._shortlist(kernels)
                if self._flags.again or contest.kernel not in known
            ]
            if contests:
                try:
                    tuned = self._measure(contests, cpu_label(kernels))
                except Interrupted as stopped:
                    raise keeper.stopped(stopped) from None
                keeper.machine = tuned.cpu
                keeper.take(tuned.findings)
        keeper.conclude(self._target.name, as_json=self._flags.as_json)
        return 0

    def _kernels_that_run(self) -> Cpu | CpuVariant:
        """Ask the board, before anything is built for it, which kernels it would choose."""
        with cancelled_by_signals() as cancel, self._reached(cancel) as board:
            facts = probe(board)
        needs = Needs(target=self._target, loaders=(), symbols=())
        allowed = self._device.allow_exposed
        refuse_unfit(facts, needs, where=self._device.name, allow_exposed=allowed)
        return best_set(self._target, facts.features | set(self._target.cpu.features))

    def _shortlist(self, kernels: Cpu | CpuVariant) -> tuple[Contest, ...]:
        def planned(
            request: BuildRequest, source: Source, toolchain_of: ToolchainOf
        ) -> tuple[PlannedStep, ...]:
            return plan_shortlist(request, source, self._target, kernels.mcpu, toolchain_of)

        made = self._desk.make(self._settings, planned, verbose=self._flags.verbose)
        return load_shortlist((made / "shortlist.json").read_text(encoding="utf-8"))

    def _measure(self, contests: Sequence[Contest], cpu: str) -> Tuned:
        tiles = trials(contests, cpu)
        bundles = []
        for number, chosen in enumerate(tiles, start=1):
            self._report.log(f"making bundle {number} of {len(tiles)}")
            bundles.append(self._bundle(chosen))
        with cancelled_by_signals() as cancel, self._reached(cancel) as board:
            return self._race(board, bundles, contests, cpu)

    def _bundle(self, tiles: tuple[TunedTile, ...]) -> LocalBundle:
        def planned(
            request: BuildRequest, source: Source, toolchain_of: ToolchainOf
        ) -> tuple[PlannedStep, ...]:
            return plan_trial(request, source, self._target, tiles, toolchain_of)

        made = self._desk.make(self._settings, planned, verbose=self._flags.verbose)
        return read_bundle(made / "bundle")

    def _race(
        self,
        board: Board,
        bundles: Sequence[LocalBundle],
        contests: Sequence[Contest],
        cpu: str,
    ) -> Tuned:
        with hold(
            board, own_name(), wait_s=self._flags.wait_s, on_wait=self._say_who_holds_it
        ) as lock:
            return measure_trials(
                board,
                lock,
                [self._order(bundle) for bundle in bundles],
                contests,
                cpu,
                budget_s=self._flags.budget,
                emit=self._say,
                tell=self._report.log,
            )

    def _order(self, bundle: LocalBundle) -> Order:
        needs = read_needs(bundle.folder, self._target)
        return Order(bundle=bundle, needs=needs, who=own_name(), wait_s=0, keep=self._device.keep)

    def _say_who_holds_it(self, holder: Holder) -> None:
        self._report.log(f"{self._device.name}: {holder.who} has held it for {holder.age_s} s")

    def _say(self, event: BoardEvent) -> None:
        if isinstance(event, Reached):
            self._report.log(f"{event.device}: {event.stage}")
