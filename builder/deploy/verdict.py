"""What the exit status of ``bin/run --check`` on a board means."""

from __future__ import annotations

from builder.deploy.replies import Replies, broken_answer, escaped
from builder.errors import BoardwrightError, DeviceRefused, IntegrityError

_WRONG_NUMBERS, _NOT_STARTED = 1, 3
_CANNOT_EXECUTE = (126, 127)
_SIGNALS = {4: "an illegal instruction", 7: "a bus error", 9: "kill (no memory?)", 11: "a fault"}
_SHOWN_CHARACTERS = 300


def refuse_failed(status: int, said: bytes | str, *, where: str) -> None:
    """Raise unless ``status`` is 0.

    ``IntegrityError`` ``check-failed`` for wrong numbers; ``DeviceRefused`` ``cannot-execute``,
    ``not-started``, ``killed`` where the program did not come to compute.
    """
    if status:
        raise _failure(status, _shown(said), where)


def refuse_gone_back(replies: Replies, *, where: str) -> None:
    """Raise what the check after a switch found; the board has gone back by itself then.

    Raises as ``refuse_failed`` does, and ``DeviceLost`` ``garbled-output``.
    """
    status, _, said = (replies.first("check") or "").partition(" ")
    if not status.isdecimal():
        raise broken_answer(where, "a switch without a check")
    try:
        refuse_failed(int(status), said, where=where)
    except BoardwrightError as failure:
        failure.state = _state_after(replies)
        if replies.first("stuck"):
            failure.remedy = "make its disk writable, then run: boardwright rollback"
        raise


def _state_after(replies: Replies) -> str:
    if (stuck := replies.first("stuck")) is not None:
        return f"the board could not go back and still runs {stuck}"
    back = replies.first("back")
    return f"the board runs {back} again" if back else "the board runs nothing"


def _failure(status: int, said: str | None, where: str) -> BoardwrightError:
    if status in _CANNOT_EXECUTE:
        return DeviceRefused(
            "the board cannot execute the bundle",
            reason="cannot-execute",
            where=where,
            why=said,
            remedy="see what the board is: boardwright devices probe",
        )
    if status > 128:
        signal = _SIGNALS.get(status - 128, f"signal {status - 128}")
        return DeviceRefused(
            f"the check on the board was ended by {signal}",
            reason="killed",
            where=where,
            why=said,
            remedy="see whether the target is that of the board: boardwright devices probe",
        )
    if status == _NOT_STARTED:
        return DeviceRefused(
            "the model cannot start on the board", reason="not-started", where=where, why=said
        )
    what = "computes other numbers than it should" if status == _WRONG_NUMBERS else "fails"
    return IntegrityError(
        f"the bundle {what} on the board",
        reason="check-failed",
        where=where,
        why=said,
        remedy="log in, see by how much with bin/run --check, and take bin/run --dump DIR to"
        " boardwright bisect, which finds the node",
    )


def _shown(said: bytes | str) -> str | None:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    lines = text.strip().splitlines()
    return escaped(lines[-1])[:_SHOWN_CHARACTERS] if lines else None
