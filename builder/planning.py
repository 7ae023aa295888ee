"""From a request to a plan: the only place where steps are put together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.errors import UsageError
from builder.fingerprint import PayloadIdentity, key
from builder.model.binding import Binding
from builder.model.event import StepRef
from builder.model.machine import Machine
from builder.model.source import Source
from builder.model.target import Target
from builder.model.toolchain import ImageToolchain, Toolchain
from builder.steps import (
    Assemble,
    Bisect,
    BuildRuntime,
    Compile,
    Inspect,
    Package,
    Prepare,
    Step,
    Verify,
    needs,
)

VerifyPolicy = Literal["auto", "require", "off"]
ToolchainOf = Callable[[Target | None], Toolchain]
"""Gives the toolchain of a target, or for None the one that all targets share."""

INSTALL_EMULATORS = "apt-get install qemu-user-static libc6-arm64-cross libc6-armhf-cross"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What the user asked for, and the facts about this machine that the answer depends on.

    ``frozen_inputs`` is an .npz beside ``binding``. ``versions`` are recorded in receipts, not
    identity.
    """

    model_name: str
    binding: Binding
    frozen_inputs: Source | None
    check_inputs: Source | None
    seed: int
    verify: VerifyPolicy
    machine: Machine
    payload: PayloadIdentity
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step with its key, and the keys of what it reads by the names of ``steps.needs``."""

    key: str
    step: Step
    needs: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> str:
        return type(self.step).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One target's bundle. ``verify`` is None where verification is off or impossible here.

    A bundle that packs others is made only of verified ones: there the two are one step.
    """

    target: Target
    assemble: PlannedStep
    verify: PlannedStep | None

    @property
    def key(self) -> str:
        """The key that stands for the whole goal."""
        return (self.verify or self.assemble).key


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Goals in the user's order, and every step they follow from, needed ones first."""

    model: str
    goals: tuple[Goal, ...]
    steps: tuple[PlannedStep, ...]
    versions: tuple[tuple[str, str], ...]

    def closure(self, goal: Goal) -> tuple[PlannedStep, ...]:
        """Return the steps ``goal`` follows from, needed ones first, the goal's own last."""
        wanted = {goal.key}
        for planned in reversed(self.steps):
            if planned.key in wanted:
                wanted.update(key for _, key in planned.needs)
        return tuple(planned for planned in self.steps if planned.key in wanted)

    def ref(self, planned: PlannedStep) -> StepRef:
        """Return the step as events name it."""
        waiting = (goal.target.name for goal in self.goals if planned in self.closure(goal))
        return StepRef(key=planned.key, kind=planned.kind, targets=tuple(waiting))


def plan(
    request: BuildRequest, targets: Sequence[Target], source: Source, toolchain_of: ToolchainOf
) -> Plan:
    """Return the plan that builds ``source`` for ``targets``; equal steps are one step.

    Raises ``UsageError`` ``cannot-verify`` where verification is required and nothing here can run
    a target's code.
    """
    prepared = _prepare(request, source, toolchain_of)
    goals = tuple(_goal(request, target, prepared, toolchain_of) for target in targets)
    if request.verify == "require":
        _require_verification(goals)
    return Plan(
        model=request.model_name,
        goals=goals,
        steps=_steps(goals, request.payload),
        versions=request.versions,
    )


def plan_inspection(
    request: BuildRequest, source: Source, toolchain_of: ToolchainOf
) -> tuple[PlannedStep, ...]:
    """Return the steps that tell whether ``source`` can be built; a build shares the first."""
    prepared = _prepare(request, source, toolchain_of)
    inspected = Inspect(toolchain=prepared.toolchain, prepared=prepared)
    return tuple(_planned(step, request.payload) for step in (prepared, inspected))


def plan_bisection(
    request: BuildRequest, source: Source, dump: Source, toolchain_of: ToolchainOf
) -> tuple[PlannedStep, ...]:
    """Return the steps that find the node where ``dump`` goes wrong; a build shares the first."""
    prepared = _prepare(request, source, toolchain_of)
    bisected = Bisect(toolchain=prepared.toolchain, prepared=prepared, dump=dump)
    return tuple(_planned(step, request.payload) for step in (prepared, bisected))


def _prepare(request: BuildRequest, source: Source, toolchain_of: ToolchainOf) -> Prepare:
    return Prepare(
        toolchain=toolchain_of(None),
        source=source,
        binding=request.binding,
        frozen_inputs=request.frozen_inputs,
        check_inputs=request.check_inputs,
        seed=request.seed,
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
        made = assemble = _assemble(request, target, prepared, toolchain_of(target))
        verify = None if request.verify == "off" else _verify(assemble, request.machine)
    return Goal(
        target=target,
        assemble=_planned(made, request.payload),
        verify=None if verify is None else _planned(verify, request.payload),
    )


def _package(
    request: BuildRequest, target: Target, prepared: Prepare, toolchain_of: ToolchainOf
) -> Package:
    assembled = tuple(
        _assemble(request, packed, prepared, toolchain_of(packed)) for packed in target.packs
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


def _assemble(
    request: BuildRequest, target: Target, prepared: Prepare, toolchain: Toolchain
) -> Assemble:
    return Assemble(
        toolchain=toolchain,
        model_name=request.model_name,
        target=target,
        compiled=Compile(
            toolchain=toolchain, prepared=prepared, platform=target.platform, cpu=target.cpu
        ),
        runtime=BuildRuntime(toolchain=toolchain, platform=target.platform),
    )


def _planned(step: Step, payload: PayloadIdentity) -> PlannedStep:
    return PlannedStep(
        key=key(step, payload),
        step=step,
        needs=tuple((name, key(need, payload)) for name, need in needs(step).items()),
    )


def _steps(goals: tuple[Goal, ...], payload: PayloadIdentity) -> tuple[PlannedStep, ...]:
    lasts = [(goal.verify or goal.assemble).step for goal in goals]
    steps = {step: None for last in lasts for step in _with_needs(last)}
    return tuple(_planned(step, payload) for step in steps)


def _with_needs(step: Step) -> dict[Step, None]:
    ordered: dict[Step, None] = {}
    for need in needs(step).values():
        ordered |= _with_needs(need)
    return ordered | {step: None}


def _verify(assemble: Assemble, machine: Machine) -> Verify | None:
    where = runs_where(assemble.target, assemble.toolchain, machine)
    if where is None:
        return None
    emulator = assemble.target.emulator if where == "qemu" else None
    return Verify(toolchain=assemble.toolchain, assembled=assemble, where=where, emulator=emulator)


def runs_where(
    target: Target, toolchain: Toolchain, machine: Machine
) -> Literal["native", "qemu"] | None:
    """Return how code for ``target`` can run where ``toolchain`` lives; None: not at all."""
    same_arch = machine.arch == target.platform.arch
    if same_arch and machine.features.issuperset(target.cpu.features):
        return "native"
    # The rendered image installs the emulator of its architecture; the host need not have it.
    if target.emulator and (
        isinstance(toolchain, ImageToolchain) or _emulated_here(target, machine)
    ):
        return "qemu"
    return None


def _emulated_here(target: Target, machine: Machine) -> bool:
    emulator = target.emulator
    if emulator is None or emulator.qemu not in machine.emulators:
        return False
    # Elsewhere the runner is static: qemu needs no C library of that architecture to run it.
    return target.platform.libc.family != "glibc" or emulator.sysroot in machine.sysroots


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
