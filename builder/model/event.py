"""What a build tells while it goes on: a closed union that reports match on."""

from __future__ import annotations

from dataclasses import dataclass

from builder.errors import BoardwrightError
from builder.model.receipt import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRef:
    """A step as people and reports name it: its key, its kind, and the targets that wait for it."""

    key: str
    kind: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The build begins. ``targets`` are in the order the user gave."""

    model: str
    targets: tuple[str, ...]
    steps: tuple[StepRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """The store had the artifact."""

    step: StepRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The step is being performed."""

    step: StepRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One line of a tool's output, untrusted text."""

    step: StepRef
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The step made its artifact."""

    step: StepRef
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The step made nothing."""

    step: StepRef
    error: BoardwrightError


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One target is done, and its receipt and bundle are in the output folder."""

    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """One target has failed. ``receipt.error`` says why; its receipt is in the output folder."""

    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Nothing more will come. Receipts are in the order of ``Planned.targets``."""

    model: str
    receipts: tuple[Receipt, ...]
    seconds: float


Event = Planned | Hit | Started | Logged | Ran | Failed | Published | Lost | Finished
