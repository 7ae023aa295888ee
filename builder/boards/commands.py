"""Commands on a board as people wait for them: they fail by a name, and end when told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from builder.errors import DeviceLost, Interrupted

_GLANCE_S = 0.2


@contextmanager
def called(where: str) -> Iterator[None]:
    """Let what the transport raises inside name what was asked, not the text of a script."""
    try:
        yield
    except DeviceLost as lost:
        lost.where = where
        raise


@contextmanager
def silence(cancel: threading.Event, where: str) -> Iterator[Iterator[bytes]]:
    """Give a command's standard input that says nothing, and ends the command on ``cancel``.

    For commands that do not wait for the end of their input. Raises ``Interrupted`` through the
    transport, which kills the command.
    """
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        while not over.wait(_GLANCE_S):
            refuse_cancelled(cancel, where)
        yield from ()

    try:
        yield nothing()
    finally:
        over.set()


def refuse_cancelled(cancel: threading.Event, where: str) -> None:
    """Raise ``Interrupted`` when the work is to stop."""
    if cancel.is_set():
        raise Interrupted("stopped", reason="interrupted", where=where)
