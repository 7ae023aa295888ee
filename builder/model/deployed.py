"""What a deployment left behind, and what it told while it went on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from builder.errors import BoardwrightError

Stage = Literal[
    "probe", "lock", "survey", "send", "verify", "release", "check", "switch", "prune", "measure"
]
"""What is being done to a board, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """One board runs the bundle. ``previous`` is the release that it ran before, if another.

    ``sent_bytes`` went over the link this time, ``resumed_bytes`` had arrived in an earlier try;
    ``reused_bytes`` of the bundle were on the board. ``fence`` is the number of the lock's ticket.
    """

    device: str
    target: str
    model: str
    release: str
    previous: str | None
    changed: bool
    sent_bytes: int
    resumed_bytes: int
    reused_bytes: int
    removed: tuple[str, ...]
    fence: int

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as the data that ``--json`` prints."""
        return {
            "device": self.device,
            "target": self.target,
            "model": self.model,
            "release": self.release,
            "previous": self.previous,
            "changed": self.changed,
            "sent_bytes": self.sent_bytes,
            "resumed_bytes": self.resumed_bytes,
            "reused_bytes": self.reused_bytes,
            "removed": list(self.removed),
            "fence": self.fence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """Work on these boards begins."""

    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A board is at this stage now."""

    device: str
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far a board is within its stage."""

    device: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """The board's lock is held by ``who`` for ``age_s`` seconds already."""

    device: str
    who: str
    age_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """So many bytes of those that this board needs have gone over the link."""

    device: str
    sent_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """One board is done; ``document`` is what ``--json`` prints of it, ``line`` says it shortly."""

    device: str
    line: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """One board is given up."""

    device: str
    error: BoardwrightError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Nothing more will come."""

    seconds: float


BoardEvent = Began | Reached | Told | Waited | Sent | Succeeded | Failed | Ended

Emit = Callable[[BoardEvent], None]
"""Takes an event; called from any thread."""
