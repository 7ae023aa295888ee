"""Go back to an earlier release, or to one that is named."""

from __future__ import annotations

from builder.boards.board import Board
from builder.boards.checking import check_release
from builder.boards.lock import hold
from builder.boards.survey import take_stock
from builder.boards.switching import leaving, switch_to
from builder.deploy.deployment import to_go_back
from builder.deploy.layout import Holder, Release
from builder.deploy.replies import UNCHANGED
from builder.model.deployed import Emit, Reached, Waited


def roll_back(
    board: Board, who: str, emit: Emit, *, wait_s: int, wanted: str | None
) -> tuple[Release, Release | None]:
    """Make an earlier release current; return it, and the one that was left.

    It is checked on the board before and after the switch. The one that was left counts as given
    up from then on: a later rollback does not come back to it by itself. Raises what
    ``to_go_back``, the check, the lock and the transport raise.
    """

    def waiting(holder: Holder) -> None:
        emit(Waited(device=board.name, who=holder.who, age_s=holder.age_s))

    emit(Reached(device=board.name, stage="lock"))
    with leaving(UNCHANGED), hold(board, who, wait_s=wait_s, on_wait=waiting) as lock:
        emit(Reached(device=board.name, stage="survey"))
        found = take_stock(board)
        release = to_go_back(found, wanted, where=board.name)
        if release == found.current:
            return release, None
        emit(Reached(device=board.name, stage="check"))
        check_release(board, lock.root, release.name)
        emit(Reached(device=board.name, stage="switch"))
        active = release if release.number else Release(number=lock.number, id=release.id)
        left = found.current.retired.name if found.current else ""
        switch_to(board, lock, release, active, left=left)
        return active, found.current
