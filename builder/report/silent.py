"""No report at all: for verbs whose JSON document comes at the end."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class SilentReport:
    """Takes any event and says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing behind."""

    def __call__(self, event: object) -> None:
        """Take an event."""
