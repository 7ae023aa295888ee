"""Exactly one JSON document on standard output, and nothing else there."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self, TextIO

from builder.model.event import Event, Finished, Logged
from builder.report.summary import document
from builder.report.wording import json_without_commands, safe


class JsonReport:
    """Writes the document when the build has finished; tools' output goes to ``log``, if any."""

    def __init__(self, stream: TextIO, *, log: TextIO | None = None) -> None:
        self._stream = stream
        self._log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        """Write the document on ``Finished``."""
        match event:
            case Logged() if self._log:
                self._log.write(f"{event.step.kind}: {safe(event.line)}\n")
            case Finished():
                write_json(self._stream, document(event.model, event.receipts, event.seconds))
            case _:
                pass


def write_json(stream: TextIO, value: Any) -> None:
    """Write ``value`` as one indented ASCII document: keys in order, no NaN."""
    stream.write(json_without_commands(json.dumps(value, indent=2, allow_nan=False)) + "\n")
