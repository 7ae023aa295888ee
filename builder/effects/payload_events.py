"""What the payload says, read back from raw bytes: the other end of ``builder.wire``'s protocol."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from builder.errors import BoardwrightError

_LONGEST_LINE_BYTES = 1 << 20
_LONGEST_LOG_LINE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A tool or the payload talking: printable, at most 4096 characters."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFailed:
    """The payload's own failure."""

    failure: BoardwrightError


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadDone:
    """The artifact is whole."""


PayloadEvent = LogLine | PayloadFailed | PayloadDone


def decode_event(line: str) -> PayloadEvent:
    """Return the event that a line of standard output holds; whatever holds none is a log line."""
    try:
        said: Any = json.loads(line)
    except (ValueError, RecursionError):
        return log_line(line)
    match said:
        case {"event": "log", "line": str(text)}:
            return log_line(text)
        case {"event": "failed", "failure": {"error": str(), "reason": str()} as failure}:
            return PayloadFailed(failure=BoardwrightError.from_json(failure))
        case {"event": "done"}:
            return PayloadDone()
    return log_line(line)


def log_line(text: str) -> LogLine:
    """Return ``text`` as a log line that no terminal obeys, cut where it is too long."""
    shown = text.expandtabs().rstrip()[:_LONGEST_LOG_LINE]
    return LogLine(
        text="".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    )


class LineSplitter:
    """Bytes in, whole lines out. What exceeds 1 MiB of a line is dropped: memory is bounded."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> list[str]:
        """Return the lines that ``piece`` completes, without their newlines."""
        *whole, rest = piece.split(b"\n")
        lines = []
        for part in whole:
            self._hold(part)
            lines.append(self._take())
        self._hold(rest)
        return lines

    def finish(self) -> list[str]:
        """Return the last line, where it had no newline."""
        return [self._take()] if self._held else []

    def _hold(self, part: bytes) -> None:
        self._held += part[: _LONGEST_LINE_BYTES - len(self._held)]

    def _take(self) -> str:
        line = self._held.decode("utf-8", "replace")
        self._held.clear()
        return line
