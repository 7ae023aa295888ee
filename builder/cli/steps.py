"""Run a few steps for what they make, without targets, bundles or receipts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from builder.cli.cancel import cancelled_by_signals
from builder.cli.clock import SystemClock
from builder.cli.configuration import Settings
from builder.cli.environment import Environment
from builder.cli.fallback import usable
from builder.cli.installation import this_payload
from builder.cli.toolchains import Choice, Toolchains, choose
from builder.effects.digest_memo import DigestMemo
from builder.effects.machine import survey_machine
from builder.effects.store import DiskStore
from builder.effects.survey import survey_model, survey_npz, unchanged
from builder.executor.perform import StepRunner
from builder.model.event import Event, Logged, StepRef
from builder.model.source import Source
from builder.model.target import Target
from builder.planning import BuildRequest, PlannedStep, ToolchainOf
from builder.ports import Log
from builder.report.wording import safe

Planner = Callable[[BuildRequest, Source, ToolchainOf], tuple[PlannedStep, ...]]
"""Plans the steps about a model, needed ones first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where steps about a model run: the toolchain, the cache, what is known of files.

    ``seed`` is of the random inputs that a model is prepared with.
    """

    toolchains: Toolchains
    environment: Environment
    memo: DigestMemo
    seed: int

    @classmethod
    def of(
        cls,
        choice: Choice,
        targets: tuple[Target, ...],
        environment: Environment,
        *,
        seed: int = 0,
    ) -> Desk:
        return cls(
            toolchains=choose(choice, targets, environment),
            environment=environment,
            memo=DigestMemo(environment.cache_root / "memo"),
            seed=seed,
        )

    def make(self, settings: Settings, planner: Planner, *, verbose: bool) -> Path:
        """Find or make the artifacts of the planned steps in order; return the last one's."""
        with cancelled_by_signals() as cancel:
            desk, steps = self._ready(settings, planner, cancel, verbose=verbose)
            return _run(steps, desk._runner(cancel, verbose=verbose))[steps[-1].key]

    def found(self, settings: Settings, planner: Planner) -> Path | None:
        """Return the last artifact of the planned steps if it has been made before."""
        last = self._plan(settings, planner)[-1]
        runner = self._runner(threading.Event(), verbose=False)
        return runner.find(StepRef(key=last.key, kind=last.kind, targets=()))

    def listen(self, settings: Settings, planner: Planner, hear: Log, *, verbose: bool) -> None:
        """Perform the last of the planned steps for what it says: its artifact is not kept.

        Raises ``Interrupted`` when the user stops it, whatever was heard by then.
        """
        with cancelled_by_signals() as cancel:
            desk, (*steps, last) = self._ready(settings, planner, cancel, verbose=verbose)
            runner = desk._runner(cancel, verbose=verbose)
            artifacts = _run(steps, runner)
            with runner.store.stage() as output:
                desk.toolchains.workshop(last.step.toolchain).perform(
                    last.step,
                    inputs={name: artifacts[key] for name, key in last.needs},
                    sources={},
                    output=output,
                    log=hear,
                    cancel=cancel,
                )

    def _ready(
        self, settings: Settings, planner: Planner, cancel: threading.Event, *, verbose: bool
    ) -> tuple[Desk, tuple[PlannedStep, ...]]:
        """Return the planned steps, and where they can run: here, where no image can be had."""
        steps = self._plan(settings, planner)
        store = DiskStore(self.environment.cache_root, self.memo)
        missing = [planned.step for planned in steps if not store.lookup(planned.key)]
        toolchains = usable(self.toolchains, missing, cancel, verbose=verbose)
        if toolchains is self.toolchains:
            return self, steps
        desk = replace(self, toolchains=toolchains)
        return desk, desk._plan(settings, planner)

    def _plan(self, settings: Settings, planner: Planner) -> tuple[PlannedStep, ...]:
        source = survey_model(settings.model, self.memo)
        return planner(self._request(settings), source, self.toolchains.of)

    def _runner(self, cancel: threading.Event, *, verbose: bool) -> StepRunner:
        return StepRunner(
            store=DiskStore(self.environment.cache_root, self.memo),
            workshops=self.toolchains.workshop,
            unchanged=lambda source: unchanged(source, self.memo),
            clock=SystemClock(),
            emit=_say if verbose else _keep_quiet,
            cancel=cancel,
            fresh=False,
        )

    def _request(self, settings: Settings) -> BuildRequest:
        return BuildRequest(
            model_name=settings.name,
            binding=settings.binding,
            frozen_inputs=self._npz(settings.frozen_file),
            check_inputs=self._npz(settings.inputs),
            seed=self.seed,
            limits=settings.limits,
            verify="off",
            machine=survey_machine([], search_path=self.environment.search_path),
            payload=this_payload(),
            versions=self.toolchains.versions,
        )

    def _npz(self, file: Path | None) -> Source | None:
        return survey_npz(file, self.memo) if file else None


def _run(steps: Sequence[PlannedStep], runner: StepRunner) -> dict[str, Path]:
    """Return the artifacts by key."""
    artifacts: dict[str, Path] = {}
    for planned in steps:
        ref = StepRef(key=planned.key, kind=planned.kind, targets=())
        inputs = {name: artifacts[key] for name, key in planned.needs}
        artifacts[planned.key] = runner.find(ref) or runner.make(ref, planned.step, inputs)
    return artifacts


def _say(event: Event) -> None:
    if isinstance(event, Logged):
        click.echo(safe(event.line), err=True)


def _keep_quiet(event: Event) -> None:
    del event
