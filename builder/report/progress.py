"""Where each target stands, folded from events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from builder.model.event import (
    Event,
    Failed,
    Finished,
    Hit,
    Logged,
    Lost,
    Planned,
    Published,
    Ran,
    Started,
    StepRef,
)
from builder.model.receipt import Receipt

_DOING = {
    "Prepare": "preparing the model",
    "Inspect": "inspecting the model",
    "Compile": "compiling kernels",
    "Tune": "measuring tiles",
    "Shortlist": "listing tiles",
    "BuildRuntime": "compiling the runtime",
    "Assemble": "linking and auditing",
    "Verify": "verifying",
    "Bisect": "looking for the wrong node",
    "Package": "packing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One target. ``doing`` names its running steps, ``log`` is the last line a tool wrote.

    ``seconds`` is how long the target took, None before its end.
    """

    target: str
    state: Literal["waiting", "running", "ok", "failed"]
    doing: str
    log: str
    seconds: float | None


class Progress:
    """The rows of a build so far, in the order of its targets."""

    def __init__(self) -> None:
        self._targets: tuple[str, ...] = ()
        self._running: dict[str, StepRef] = {}
        self._log: dict[str, str] = {}
        self._ended: dict[str, Receipt] = {}

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        match event:
            case Planned():
                self._targets = event.targets
            case Started():
                self._running[event.step.key] = event.step
            case Logged():
                self._log[event.step.key] = event.line
            case Ran() | Failed():
                self._running.pop(event.step.key, None)
            case Published() | Lost():
                self._ended[event.receipt.target] = event.receipt
            case Hit() | Finished():
                pass
            case _:
                assert_never(event)

    def rows(self) -> tuple[Row, ...]:
        """Return one row per target."""
        return tuple(self._row(target) for target in self._targets)

    def _row(self, target: str) -> Row:
        running = [step for step in list(self._running.values()) if target in step.targets]
        ended = self._ended.get(target)
        return Row(
            target=target,
            state=ended.status if ended else "running" if running else "waiting",
            doing="" if ended else ", ".join(describe(step.kind) for step in running),
            log="" if ended or not running else self._log.get(running[-1].key, ""),
            seconds=ended.seconds if ended else None,
        )


def describe(kind: str) -> str:
    """Return what a step of this kind does, as a present participle."""
    return _DOING.get(kind, kind)
