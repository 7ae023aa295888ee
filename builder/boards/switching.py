"""From one release of a board to another, and what is left where something goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from builder.boards.board import Board
from builder.boards.checking import CHECK_S
from builder.boards.lock import BoardLock
from builder.deploy.layout import Release
from builder.deploy.verdict import refuse_gone_back
from builder.errors import BoardwrightError

_EITHER = "the board runs the release before or the new one, whole: see boardwright status"


def switch_to(
    board: Board, lock: BoardLock, release: Release, active: Release, *, left: str = ""
) -> None:
    """Make ``release`` current by the name of ``active``; what was current is ``left`` from then.

    The board checks it in its place and goes back by itself. Raises as ``refuse_gone_back``, the
    lock and the transport do.
    """
    lock.check()
    with leaving(_EITHER):
        replies = board.ask(
            "switch", lock.fence, release.name, active.name, left, timeout_s=CHECK_S
        )
        lock.advance(replies)
        refuse_gone_back(replies, where=board.name)


@contextmanager
def leaving(state: str, *, surely: bool = False) -> Iterator[None]:
    """Say what a failure inside leaves behind, where it does not say so or ``surely`` is set."""
    try:
        yield
    except BoardwrightError as failure:
        failure.state = state if surely else failure.state or state
        raise
