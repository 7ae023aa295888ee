"""From a request for bundles to a plan."""

from __future__ import annotations

from collections.abc import Sequence

from builder.errors import UsageError
from builder.fingerprint import PayloadIdentity
from builder.model.machine import Machine
from builder.model.source import Source
from builder.model.target import Target
from builder.model.toolchain import Toolchain
from builder.model.tuning import TunedTile
from builder.planning.machines import INSTALL_EMULATORS, runs_where
from builder.planning.planned import (
    BuildRequest,
    Goal,
    Plan,
    PlannedStep,
    ToolchainOf,
    planned,
    prepare,
)
from builder.steps import (
    Assemble,
    BuildRuntime,
    Compile,
    Package,
    Prepare,
    Step,
    Verify,
    needs,
)
from builder.tuning.selection import tuned_tiles


def plan(
    request: BuildRequest, targets: Sequence[Target], source: Source, toolchain_of: ToolchainOf
) -> Plan:
    """Return the plan that builds ``source`` for ``targets``; equal steps are one step.

    Raises ``UsageError`` ``cannot-verify`` where verification is required and nothing here can run
    a target's code.
    """
    prepared = prepare(request, source, toolchain_of)
    goals = tuple(_goal(request, target, prepared, toolchain_of) for target in targets)
    if request.verify == "require":
        _require_verification(goals)
    return Plan(
        model=request.model_name,
        goals=goals,
        steps=_steps(goals, request.payload),
        versions=request.versions,
    )


def _goal(
    request: BuildRequest, target: Target, prepared: Prepare, toolchain_of: ToolchainOf
) -> Goal:
    made: Step
    verify: Step | None
    if target.packs:
        made = package = _package(request, target, prepared, toolchain_of)
        verify = package if package.verified else None
    else:
        tuned = tuned_tiles(request.records, target.cpu)
        made = assemble = assembly(request, target, prepared, toolchain_of(target), tuned)
        verify = None if request.verify == "off" else _verify(assemble, request.machine)
    return Goal(
        target=target,
        assemble=planned(made, request.payload),
        verify=None if verify is None else planned(verify, request.payload),
    )


def _package(
    request: BuildRequest, target: Target, prepared: Prepare, toolchain_of: ToolchainOf
) -> Package:
    assembled = tuple(
        assembly(
            request,
            packed,
            prepared,
            toolchain_of(packed),
            tuned_tiles(request.records, packed.cpu),
        )
        for packed in target.packs
    )
    verified = tuple(_verify(each, request.machine) for each in assembled)
    all_or_none = tuple(step for step in verified if step is not None and None not in verified)
    return Package(
        toolchain=toolchain_of(target),
        model_name=request.model_name,
        target=target,
        assembled=assembled,
        verified=() if request.verify == "off" else all_or_none,
    )


def assembly(
    request: BuildRequest,
    target: Target,
    prepared: Prepare,
    toolchain: Toolchain,
    tuned: tuple[TunedTile, ...],
) -> Assemble:
    """Return the step that makes a bundle in which kernels take the ``tuned`` tiles."""
    return Assemble(
        toolchain=toolchain,
        model_name=request.model_name,
        target=target,
        compiled=Compile(
            toolchain=toolchain,
            prepared=prepared,
            platform=target.platform,
            cpu=target.cpu,
            tuned=tuned,
        ),
        runtime=BuildRuntime(toolchain=toolchain, platform=target.platform),
    )


def _steps(goals: tuple[Goal, ...], payload: PayloadIdentity) -> tuple[PlannedStep, ...]:
    lasts = [(goal.verify or goal.assemble).step for goal in goals]
    steps = {step: None for last in lasts for step in with_needs(last)}
    return tuple(planned(step, payload) for step in steps)


def with_needs(step: Step) -> dict[Step, None]:
    """Return all that a step follows from, needed ones first, and the step itself last."""
    ordered: dict[Step, None] = {}
    for need in needs(step).values():
        ordered |= with_needs(need)
    return ordered | {step: None}


def _verify(assemble: Assemble, machine: Machine) -> Verify | None:
    where = runs_where(assemble.target, assemble.toolchain, machine)
    if where is None:
        return None
    emulator = assemble.target.emulator if where == "qemu" else None
    return Verify(toolchain=assemble.toolchain, assembled=assemble, where=where, emulator=emulator)


def _require_verification(goals: tuple[Goal, ...]) -> None:
    stranded = [goal.target.name for goal in goals if goal.verify is None]
    if stranded:
        raise UsageError(
            f"nothing on this machine can run the code of {', '.join(stranded)}",
            reason="cannot-verify",
            why="--verify require needs the right CPU or qemu-user with that C library",
            remedy=f"run: {INSTALL_EMULATORS}",
            details={"targets": stranded},
        )
