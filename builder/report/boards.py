"""What happens to boards, one line per event: for pipes, logs and CI."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO, assert_never

from builder.model.deployed import (
    Began,
    BoardEvent,
    Ended,
    Failed,
    Reached,
    Sent,
    Stage,
    Succeeded,
    Told,
    Waited,
)
from builder.report.wording import byte_size, safe

_DOING: dict[Stage, str] = {
    "probe": "asking what it is",
    "lock": "taking its lock",
    "survey": "asking what it has",
    "send": "sending",
    "verify": "verifying what was sent",
    "release": "laying out the release",
    "check": "checking on the board",
    "switch": "switching, and checking again",
    "prune": "removing old releases",
    "measure": "measuring",
}


_WORTH_TELLING = 8 << 20
"""Bytes that take long enough to send for anyone to wonder."""


class PlainBoards:
    """Writes lines to ``stream``: each stage of each board, and how far sending is in tenths."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tenths: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def __call__(self, event: BoardEvent) -> None:
        """Write what ``event`` says, if it says anything."""
        if line := self._line(event):
            self._stream.write(safe(line) + "\n")
            self._stream.flush()

    def _line(self, event: BoardEvent) -> str | None:
        match event:
            case Began() | Ended():
                return None
            case Reached():
                return f"{event.device}: {doing(event.stage)}"
            case Told():
                return f"{event.device}: {event.line}"
            case Waited():
                return self._once(event.device, f"waiting for {event.who}")
            case Sent():
                return self._progress(event)
            case Succeeded():
                return f"{event.device}: {event.line}"
            case Failed():
                return f"{event.device}: failed"
        assert_never(event)

    def _once(self, device: str, line: str) -> str | None:
        first = self._tenths.setdefault(line + device, 0) == 0
        self._tenths[line + device] = 1
        return f"{device}: {line}" if first else None

    def _progress(self, event: Sent) -> str | None:
        if event.total_bytes < _WORTH_TELLING:
            return None
        tenth = 10 * event.sent_bytes // max(1, event.total_bytes)
        if tenth <= self._tenths.get(event.device, 0):
            return None
        self._tenths[event.device] = tenth
        return f"{event.device}: sent {10 * tenth}% of {byte_size(event.total_bytes)}"


def doing(stage: Stage) -> str:
    """Return what is being done at a stage, as a present participle."""
    return _DOING[stage]
