"""Walk a graph of tasks from its goals, lazily, with a few at a time in flight.

A task that can be answered without its needs (an artifact in the store) never causes them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from builder.errors import BoardwrightError, Interrupted

T = TypeVar("T")


Settled = Callable[[str, T | BoardwrightError], None]
"""Takes a task's key and its result or failure, once each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[T]):
    """One piece of work. ``probe`` answers without needs, or None; ``make`` gets them by key."""

    needs: tuple[str, ...]
    probe: Callable[[], T | None]
    make: Callable[[Mapping[str, T]], T]


def walk(
    tasks: Mapping[str, Task[T]],
    goals: Iterable[str],
    *,
    pool: Executor,
    cancel: threading.Event,
    settled: Settled[T],
) -> None:
    """Settle each goal and each task a goal leads to; tell ``settled`` in the calling thread.

    A task's failure is its result, and that of all that need it. Any other exception stops the
    walk. Raises ``Interrupted`` once ``cancel`` is set and everything in flight has ended.
    """
    journey = _Journey(tasks=tasks, pool=pool, cancel=cancel, settled=settled)
    try:
        journey.run(goals)
    except BaseException:
        cancel.set()
        wait(journey.in_flight)
        raise


@dataclass(slots=True, kw_only=True)
class _Journey(Generic[T]):
    tasks: Mapping[str, Task[T]]
    pool: Executor
    cancel: threading.Event
    settled: Settled[T]
    results: dict[str, T | BoardwrightError] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    waiting: dict[str, None] = field(default_factory=dict)  # probed in vain, needs not yet there
    in_flight: dict[Future[T | None], Callable[[T | BoardwrightError | None], None]] = field(
        default_factory=dict
    )

    def run(self, goals: Iterable[str]) -> None:
        for goal in goals:
            self._want(goal)
        while self.in_flight:
            ended, _ = wait(self.in_flight, return_when=FIRST_COMPLETED)
            for future in [future for future in self.in_flight if future in ended]:
                then, outcome = self.in_flight.pop(future), _outcome(future)
                if not self.cancel.is_set():
                    then(outcome)
        if self.cancel.is_set():
            raise interrupted()

    def _want(self, key: str) -> None:
        if key not in self.wanted:
            self.wanted.add(key)
            self._submit(self.tasks[key].probe, partial(self._probed, key))

    def _probed(self, key: str, answer: T | BoardwrightError | None) -> None:
        if answer is not None:
            self._settle(key, answer)
            return
        self.waiting[key] = None
        for need in self.tasks[key].needs:
            self._want(need)
        self._advance(key)

    def _advance(self, key: str) -> None:
        task = self.tasks[key]
        if key not in self.waiting or not all(need in self.results for need in task.needs):
            return
        del self.waiting[key]
        inputs: dict[str, T] = {}
        for need in task.needs:
            result = self.results[need]
            if isinstance(result, BoardwrightError):
                self._settle(key, result)
                return
            inputs[need] = result
        self._submit(partial(task.make, inputs), partial(self._made, key))

    def _made(self, key: str, result: T | BoardwrightError | None) -> None:
        assert result is not None, "a task makes something or raises"
        self._settle(key, result)

    def _settle(self, key: str, result: T | BoardwrightError) -> None:
        self.results[key] = result
        self.settled(key, result)
        for dependant in [other for other in self.waiting if key in self.tasks[other].needs]:
            self._advance(dependant)

    def _submit(
        self, work: Callable[[], T | None], then: Callable[[T | BoardwrightError | None], None]
    ) -> None:
        if not self.cancel.is_set():
            self.in_flight[self.pool.submit(_unless, self.cancel, work)] = then


def interrupted() -> Interrupted:
    """Return the failure that says the user stopped the work."""
    return Interrupted(
        "stopped",
        reason="interrupted",
        state="finished steps are kept, nothing else was written",
        remedy="run the same command again to go on from there",
    )


def _unless(cancel: threading.Event, work: Callable[[], T]) -> T:
    if cancel.is_set():
        raise interrupted()
    return work()


def _outcome(future: Future[T]) -> T | BoardwrightError:
    try:
        return future.result()
    except BoardwrightError as error:
        return error
