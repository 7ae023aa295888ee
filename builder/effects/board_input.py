"""Feeding a command on a board from an iterable that may wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Feeder:
    """Sends ``pieces`` from a thread of its own, then calls ``close``.

    ``send`` and ``close`` may raise one of ``done``: the command has ended and wants no more. What
    the iterable itself raises is kept, ``stop`` is called to end the command, and ``check`` raises
    it. A thread that waits for the next piece is abandoned.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        *,
        send: Callable[[bytes], object],
        close: Callable[[], object],
        stop: Callable[[], object],
        done: tuple[type[Exception], ...],
    ) -> None:
        self._send = send
        self._close = close
        self._stop = stop
        self._done = done
        self._failure: BaseException | None = None
        threading.Thread(target=self._feed, args=(pieces,), daemon=True).start()

    def check(self) -> None:
        """Raise what the iterable raised, if it did."""
        if self._failure is not None:
            raise self._failure

    def _feed(self, pieces: Iterable[bytes]) -> None:
        try:
            for piece in pieces:
                if not self._wanted(self._send, piece):
                    return
        except BaseException as failure:  # raised again by ``check``
            self._failure = failure
            self._stop()
        else:
            self._wanted(self._close)

    def _wanted(self, act: Callable[..., object], *arguments: bytes) -> bool:
        try:
            act(*arguments)
        except self._done:
            return False
        return True
