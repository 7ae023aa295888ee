"""Execute a plan: settle its steps, publish each target when it is whole, say what happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from builder.errors import BoardwrightError
from builder.executor import goal as goals
from builder.executor.perform import Emit, StepRunner, Workshops, disk_failure
from builder.executor.walk import Task, walk
from builder.model.artifact import Verification
from builder.model.event import Event, Finished, Lost, Planned, Published
from builder.model.receipt import NOT_VERIFIED, LastGood, Receipt
from builder.model.source import Source
from builder.planning import Goal, Plan, PlannedStep
from builder.ports import Clock, Store


class Publisher(Protocol):
    """The output folder: whole results or none, replaced at once."""

    def is_current(self, model: str, target: str, key: str) -> Receipt | None:
        """Return the receipt of the bundle there when it is of ``key`` and intact."""
        ...

    def last_good(self, model: str, target: str) -> LastGood | None:
        """Return what is known of the bundle that lies there, whatever was built since."""
        ...

    def bundle_path(self, model: str, target: str) -> Path:
        """Return where the bundle folder of a target lies, or will."""
        ...

    def publish(self, receipt: Receipt, assembled: Path) -> Path:
        """Put the artifact that holds a bundle and its receipt in place; return that folder."""
        ...

    def publish_failure(self, receipt: Receipt, evidence: Path | None = None) -> Path:
        """Put the receipt of a failed target beside the last good bundle, which stays as it is.

        The files of the folder ``evidence`` replace ``bisect/``.
        """
        ...

    def update_receipt(self, receipt: Receipt) -> None:
        """Replace the receipt of a bundle that stays; what a failed build left goes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything a build acts through. ``fresh`` takes nothing from the store or the output."""

    store: Store
    workshops: Workshops
    publisher: Publisher
    unchanged: Callable[[Source], bool]
    clock: Clock
    emit: Emit
    cancel: threading.Event
    fresh: bool = False


def execute(plan: Plan, world: World, *, jobs: int) -> tuple[Receipt, ...]:
    """Return one receipt per goal, in the plan's order, with at most ``jobs`` steps at a time.

    A failing target does not stop the others: its receipt says why. Raises ``Interrupted`` after
    ``world.cancel`` was set and all work has ended; what was published until then stays.
    """
    build = _Build(plan=plan, world=world)
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="step") as pool:
        return build.run(pool)


@dataclass(slots=True, kw_only=True)
class _Build:
    plan: Plan
    world: World
    began_s: float = field(init=False)
    emit: Emit = field(init=False)
    runner: StepRunner = field(init=False)
    results: dict[str, Path | BoardwrightError] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.world
        self.began_s = world.clock.monotonic_s()
        self.emit = _one_at_a_time(world.emit)
        self.runner = StepRunner(
            store=world.store,
            workshops=world.workshops,
            unchanged=world.unchanged,
            clock=world.clock,
            emit=self.emit,
            cancel=world.cancel,
            fresh=world.fresh,
        )

    def run(self, pool: ThreadPoolExecutor) -> tuple[Receipt, ...]:
        self._announce()
        for goal in self.plan.goals:
            self._reuse(goal)
        walk(
            {planned.key: self._task(planned) for planned in self.plan.steps},
            [key for goal in self._open_goals() for key in _own_keys(goal)],
            pool=pool,
            cancel=self.world.cancel,
            settled=self._settled,
        )
        receipts = tuple(self.receipts[goal.target.name] for goal in self.plan.goals)
        self.emit(Finished(model=self.plan.model, receipts=receipts, seconds=self._seconds()))
        return receipts

    def _announce(self) -> None:
        self.emit(
            Planned(
                model=self.plan.model,
                targets=tuple(goal.target.name for goal in self.plan.goals),
                steps=tuple(self.plan.ref(planned) for planned in self.plan.steps),
            )
        )

    def _reuse(self, goal: Goal) -> None:
        if self.world.fresh:
            return
        receipt = self.world.publisher.is_current(self.plan.model, goal.target.name, goal.key)
        if receipt is not None:
            again = goals.reused(receipt, seconds=self._seconds())
            self._note(self.world.publisher.update_receipt, again)
            self._conclude(goal, again)

    def _open_goals(self) -> list[Goal]:
        return [goal for goal in self.plan.goals if goal.target.name not in self.receipts]

    def _task(self, planned: PlannedStep) -> Task[Path]:
        ref = self.plan.ref(planned)

        def make(artifacts: Mapping[str, Path]) -> Path:
            inputs = {name: artifacts[key] for name, key in planned.needs}
            return self.runner.make(ref, planned.step, inputs)

        return Task(
            needs=tuple(key for _, key in planned.needs),
            probe=partial(self.runner.find, ref),
            make=make,
        )

    def _settled(self, key: str, result: Path | BoardwrightError) -> None:
        self.results[key] = result
        for goal in self._open_goals():
            own = _own_keys(goal)
            if key in own and all(other in self.results for other in own):
                self._finish(goal)

    def _finish(self, goal: Goal) -> None:
        artifacts: dict[str, Path] = {}
        for key in _own_keys(goal):
            result = self.results[key]
            if isinstance(result, BoardwrightError):
                self._give_up(goal, result, NOT_VERIFIED)
                return
            artifacts[key] = result
        verification = goals.read_verification(goal, artifacts)
        if verification.ok is False:
            evidence = goals.evidence(goal, artifacts)
            wrong = goals.wrong_numbers(goal, self.plan.goals, verification, evidence)
            self._give_up(goal, wrong, verification, evidence)
        else:
            self._publish(goal, goals.published(goal, artifacts), verification)

    def _publish(self, goal: Goal, assembled: Path, verification: Verification) -> None:
        receipt = goals.success(
            self.plan,
            goal,
            assembled=assembled,
            verification=verification,
            bundle=self.world.publisher.bundle_path(self.plan.model, goal.target.name),
            hit=self.runner.ran.isdisjoint(_own_keys(goal)),
            seconds=self._seconds(),
        )
        try:
            self.world.publisher.publish(receipt, assembled)
        except OSError as error:
            self._give_up(goal, disk_failure(error), verification)
        except BoardwrightError as error:
            self._give_up(goal, error, verification)
        else:
            self._conclude(goal, receipt)

    def _give_up(
        self,
        goal: Goal,
        error: BoardwrightError,
        verification: Verification,
        evidence: Path | None = None,
    ) -> None:
        receipt = goals.failure(
            self.plan,
            goal,
            error,
            verification=verification,
            last_good=self._last_good(goal),
            seconds=self._seconds(),
        )
        self._note(lambda note: self.world.publisher.publish_failure(note, evidence), receipt)
        self._conclude(goal, receipt)

    def _last_good(self, goal: Goal) -> LastGood | None:
        # A folder that cannot be read fails no target that did not fail already.
        with suppress(OSError, BoardwrightError):
            return self.world.publisher.last_good(self.plan.model, goal.target.name)
        return None

    def _note(self, write: Callable[[Receipt], object], receipt: Receipt) -> None:
        # The user must hear how the target itself went, not that its note could not be written.
        with suppress(OSError, BoardwrightError):
            write(receipt)

    def _conclude(self, goal: Goal, receipt: Receipt) -> None:
        self.receipts[goal.target.name] = receipt
        self.emit((Published if receipt.status == "ok" else Lost)(receipt=receipt))

    def _seconds(self) -> float:
        return self.world.clock.monotonic_s() - self.began_s


def _own_keys(goal: Goal) -> tuple[str, ...]:
    keys = (goal.assemble.key, goal.key)
    return keys if keys[0] != keys[1] else keys[:1]


def _one_at_a_time(emit: Emit) -> Emit:
    lock = threading.Lock()

    def emit_locked(event: Event) -> None:
        with lock:
            emit(event)

    return emit_locked
