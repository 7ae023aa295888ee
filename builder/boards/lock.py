"""The right to change a board: held by a script there, for as long as the link and we live."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builder.boards.board import Board
from builder.boards.commands import called
from builder.deploy.facts import checked_path
from builder.deploy.layout import Holder, holder_of
from builder.deploy.replies import Replies, broken_answer, lock_lost, parse_line, parse_replies
from builder.errors import BoardwrightError, DeviceBusy, DeviceLost

BEAT_S = 5.0
"""A sign of life goes to the board this often; it frees the lock after 30 s of silence."""

_PATIENCE_S = 5
"""The board itself waits so long: a client that is gone must not be waited for on its behalf."""

_LONGEST_S = 7 * 24 * 3600.0
_ANSWER_S = 60.0
_GLANCE_S = 0.1
_GOODBYE_S = 10.0


class BoardLock:
    """A held lock. ``fence`` is the number of the last ticket that is ours, as the board has it.

    ``root`` is the absolute path of the board's root.
    """

    def __init__(self, board: Board, on_wait: Callable[[Holder], None]) -> None:
        self.fence = ""
        self.root = ""
        self._board = board
        self._on_wait = on_wait
        self._holder: Holder | None = None
        self._output = b""
        self._nonce = board.nonce()
        self._taken = threading.Event()
        self._ended = threading.Event()
        self._release = threading.Event()
        self._error: BoardwrightError | None = None

    @property
    def number(self) -> int:
        return int(self.fence)

    def advance(self, replies: Replies) -> None:
        """Go on with the ticket that a script has taken in our name."""
        fence = replies.first("fence")
        if fence is None or not fence.isdecimal():
            raise broken_answer(self._board.name, f"the ticket {fence!r}")
        self.fence = fence

    def check(self) -> None:
        """Raise what ended the lock, if anything has."""
        if self._ended.is_set():
            raise self._error or lock_lost(self._board.name)

    def take(self, who: str, wait_s: int) -> None:
        """Wait for the lock.

        Raises ``DeviceBusy`` ``locked``, ``DeviceLost`` ``timeout`` where nobody is known to have
        it and it does not come, or what the transport raises.
        """
        threading.Thread(target=self._hold, args=(who, wait_s), daemon=True).start()
        for _ in range(round((wait_s + _ANSWER_S) / _GLANCE_S)):
            if self._taken.wait(_GLANCE_S) or self._ended.is_set():
                break
            self._board.go_on()
        if not self._taken.is_set():
            raise self._error or self._not_taken()

    def free(self) -> None:
        """Give the lock back and wait until the board has heard it."""
        self._release.set()
        self._ended.wait(_GOODBYE_S)

    def _hold(self, who: str, wait_s: int) -> None:
        try:
            with called(f"{self._board.name}: lock"):
                completed = self._board.transport.run(
                    self._board.command("lock", self._nonce, who, str(wait_s)),
                    stdin=self._beats(),
                    on_stdout=self._hear,
                    timeout_s=_LONGEST_S,
                )
            parse_replies(completed.stdout, self._nonce, where=self._board.name)
        except BoardwrightError as error:
            self._error = self._meaning(error)
        finally:
            self._ended.set()

    def _meaning(self, error: BoardwrightError) -> BoardwrightError:
        # A script that held the lock and ended without a word was killed: the lock is anybody's.
        unfinished = self._taken.is_set() and error.reason == "garbled-output"
        return lock_lost(self._board.name) if unfinished else error

    def _beats(self) -> Iterator[bytes]:
        while not self._release.wait(BEAT_S):
            yield b"\n"

    def _hear(self, piece: bytes) -> None:
        *lines, self._output = (self._output + piece).split(b"\n")
        for line in lines:
            match parse_line(line, self._nonce):
                case ("lock", value):
                    self._take(value)
                case ("busy", value):
                    self._holder = holder_of(value)
                    if self._holder:
                        self._on_wait(self._holder)

    def _take(self, value: str) -> None:
        fence, _, root = value.partition(" ")
        if fence.isdecimal() and not self._taken.is_set():
            self.fence, self.root = fence, checked_path(root, self._board.name)
            self._taken.set()

    def _not_taken(self) -> BoardwrightError:
        if (holder := self._holder) is None:
            return DeviceLost(
                "the board did not give its lock in time",
                reason="timeout",
                where=self._board.name,
                state="nothing was sent",
            )
        return DeviceBusy(
            f"the board is held by {holder.who}, for {_duration(holder.age_s)}",
            reason="locked",
            where=self._board.name,
            state="nothing was sent",
            remedy="wait for it with --wait SECONDS",
            details={"holder": holder.who, "age_s": holder.age_s},
        )


@contextmanager
def hold(
    board: Board, who: str, *, wait_s: int = 0, on_wait: Callable[[Holder], None] = lambda _: None
) -> Iterator[BoardLock]:
    """Hold the board's lock, waiting up to ``wait_s`` for whoever has it.

    ``who`` is shown to others: ``user@host`` without spaces, commas or slashes. Makes the board's
    folders where they are missing. Raises ``DeviceBusy`` ``locked`` with the holder and the age.
    """
    lock = _taken(board, who, wait_s, on_wait)
    try:
        yield lock
    finally:
        lock.free()


def _taken(board: Board, who: str, wait_s: int, on_wait: Callable[[Holder], None]) -> BoardLock:
    while True:
        lock = BoardLock(board, on_wait)
        patience = min(wait_s, _PATIENCE_S)
        try:
            lock.take(who, patience)
            return lock
        except BaseException as failure:
            lock.free()
            if not isinstance(failure, DeviceBusy) or wait_s <= patience:
                raise
        wait_s -= patience


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
