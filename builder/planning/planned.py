"""What is planned: requests, goals, steps with their keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from builder.fingerprint import PayloadIdentity, key
from builder.model.binding import Binding
from builder.model.event import StepRef
from builder.model.machine import Machine
from builder.model.model_limits import DEFAULT_LIMITS, ModelLimits
from builder.model.source import Source
from builder.model.target import Target
from builder.model.toolchain import Toolchain
from builder.model.tuning import TuningRecord
from builder.steps import Prepare, Step, needs

VerifyPolicy = Literal["auto", "require", "off"]
ToolchainOf = Callable[[Target | None], Toolchain]
"""Gives the toolchain of a target, or for None the one that all targets share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What the user asked for, and the facts about this machine that the answer depends on.

    ``frozen_inputs`` is an .npz beside ``binding``. ``versions`` are recorded in receipts, not
    identity. ``records`` are those of the compiler at hand, one for a kernel and a CPU.
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
    records: tuple[TuningRecord, ...] = ()
    limits: ModelLimits = DEFAULT_LIMITS


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


def prepare(request: BuildRequest, source: Source, toolchain_of: ToolchainOf) -> Prepare:
    """Return the step that all others about the model follow from."""
    return Prepare(
        toolchain=toolchain_of(None),
        source=source,
        binding=request.binding,
        frozen_inputs=request.frozen_inputs,
        check_inputs=request.check_inputs,
        seed=request.seed,
        limits=request.limits,
    )


def planned(step: Step, payload: PayloadIdentity) -> PlannedStep:
    """Return a step with its key."""
    return PlannedStep(
        key=key(step, payload),
        step=step,
        needs=tuple((name, key(need, payload)) for name, need in needs(step).items()),
    )
