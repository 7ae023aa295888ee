"""One step: take its artifact from the store, or have a workshop make it exactly once."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import BoardwrightError, BuildFailed, Interrupted
from builder.model.event import Event, Failed, Hit, Logged, Ran, Started, StepRef
from builder.model.source import Source
from builder.model.toolchain import Toolchain
from builder.ports import Clock, Store, Workshop
from builder.steps import Bisect, Prepare, Step

Emit = Callable[[Event], None]
Workshops = Callable[[Toolchain], Workshop]
"""Gives the place that can perform the steps of a toolchain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRunner:
    """Finds or makes artifacts. ``ran`` collects the keys that had to be made.

    ``unchanged`` re-reads the user's files and says whether they still are what was surveyed;
    with ``fresh`` nothing is looked up in the store, only written to it.
    """

    store: Store
    workshops: Workshops
    unchanged: Callable[[Source], bool]
    clock: Clock
    emit: Emit
    cancel: threading.Event
    fresh: bool
    ran: set[str] = field(default_factory=set)

    def find(self, ref: StepRef) -> Path | None:
        """Return the artifact when the store has it."""
        found = None if self.fresh else self.store.lookup(ref.key)
        if found is not None:
            self.emit(Hit(step=ref))
        return found

    def make(self, ref: StepRef, step: Step, inputs: Mapping[str, Path]) -> Path:
        """Return the artifact, made here unless another build made it while this one waited.

        ``inputs`` are artifacts by the names of ``steps.needs``. Raises the payload's failure,
        ``BuildFailed`` ``source-changed`` where the user's files were edited meanwhile.
        """
        try:
            with self.store.lock(ref.key, self.cancel):
                return self.find(ref) or self._make_locked(ref, step, inputs)
        except BrokenPipeError:
            raise  # the reader of our own output has gone
        except OSError as error:
            raise self._failed(ref, disk_failure(error)) from error
        except BoardwrightError as error:
            raise self._failed(ref, error) from None

    def _make_locked(self, ref: StepRef, step: Step, inputs: Mapping[str, Path]) -> Path:
        self.emit(Started(step=ref))
        began_s = self.clock.monotonic_s()
        with self.store.stage() as staged:
            self._perform(ref, step, inputs, staged)
            artifact = self.store.commit(ref.key, staged)
        self.ran.add(ref.key)
        self.emit(Ran(step=ref, seconds=self.clock.monotonic_s() - began_s))
        return artifact

    def _perform(self, ref: StepRef, step: Step, inputs: Mapping[str, Path], staged: Path) -> None:
        sources = _sources(step)
        try:
            self.workshops(step.toolchain).perform(
                step,
                inputs=inputs,
                sources=sources,
                output=staged,
                log=lambda line: self.emit(Logged(step=ref, line=line)),
                cancel=self.cancel,
            )
        except Interrupted:
            raise
        except BoardwrightError as error:
            # A file that is being rewritten often looks malformed: name the cause, not the symptom.
            self._require_unchanged(sources, error)
            raise
        self._require_unchanged(sources, None)

    def _require_unchanged(
        self, sources: Mapping[str, Source], cause: BoardwrightError | None
    ) -> None:
        for source in sources.values():
            if not self.unchanged(source):
                raise BuildFailed(
                    "the file changed while it was being built",
                    reason="source-changed",
                    where=str(source.main),
                    state="nothing was kept of this step",
                    remedy="run the same command again",
                ) from cause

    def _failed(self, ref: StepRef, error: BoardwrightError) -> BoardwrightError:
        if not isinstance(error, Interrupted):
            self.emit(Failed(step=ref, error=error))
        return error


def disk_failure(error: OSError) -> BuildFailed:
    """Return what the disk refused as a failure to act on."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return BuildFailed(
        "the disk is full" if full else f"cannot write: {error.strerror or error}",
        reason="disk-full" if full else "disk-failed",
        where=str(error.filename) if error.filename else None,
        state="nothing half-written was kept",
        remedy="free some space (boardwright cache clean --max-size 2G) and run again"
        if full
        else "check the permissions of that folder and run again",
    )


def _sources(step: Step) -> dict[str, Source]:
    if isinstance(step, Bisect):
        return {"dump": step.dump}
    if not isinstance(step, Prepare):
        return {}
    sources = {
        "model": step.source,
        "frozen_inputs": step.frozen_inputs,
        "check_inputs": step.check_inputs,
    }
    return {name: source for name, source in sources.items() if source is not None}
