"""The bytes under an SSH connection, and what a silence of them means.

A dead link says nothing: a read waits for good, and so does a write once the kernel's buffer is
full. On Linux the kernel itself gives a TCP connection up (``tcp.py``). It cannot see past a jump
host, a proxy command or a server that has stopped; there, and on other systems, ``SILENCE_S``
seconds of silence under a question that every SSH server must answer are the end.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Protocol

from paramiko import SSHException, Transport

BROKEN = (SSHException, EOFError, OSError)
"""What the library raises when the link dies under a call."""

SILENCE_S = 15
_ASK_AFTER_S = 5
_TICK_S = 1.0


class End(Protocol):
    """A socket, or a channel of another connection."""

    def send(self, data: bytes, /) -> int: ...

    def recv(self, size: int, /) -> bytes: ...

    def settimeout(self, timeout_s: float | None, /) -> None: ...

    def close(self) -> None: ...


class Wire:
    """An end that counts what it hears and what it cannot say, as paramiko wants its sockets."""

    def __init__(self, end: End) -> None:
        self._end = end
        self._closed = False  # paramiko looks at this name
        self._timeout_s = 0.0
        self._stuck_s = 0.0
        self.heard_bytes = 0

    def send(self, data: bytes) -> int:
        """Send some of ``data``.

        Raises ``TimeoutError``, after which paramiko tries again, and ``ConnectionAbortedError`` at
        last.
        """
        try:
            sent = self._end.send(data)
        except TimeoutError:
            self._stuck_s += self._timeout_s
            if self._stuck_s >= SILENCE_S:
                raise ConnectionAbortedError("the peer reads no more") from None
            raise
        self._stuck_s = 0.0
        return sent

    def recv(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end of the stream."""
        heard = self._end.recv(size)
        self.heard_bytes += len(heard)
        return heard

    def settimeout(self, timeout_s: float | None) -> None:
        """Let ``send`` and ``recv`` wait no longer than this."""
        self._timeout_s = timeout_s or 0.0
        self._end.settimeout(timeout_s)

    def close(self) -> None:
        """Close the end. A channel tells its server so, which may be gone."""
        self._closed = True
        with suppress(*BROKEN):
            self._end.close()


class Watchdog:
    """Ends ``transport``, and every verb on it, once its peer has been silent for too long."""

    def __init__(self, transport: Transport, wire: Wire) -> None:
        self._transport = transport
        self._wire = wire
        self._doubt = threading.Event()
        # Two threads: on a dead link the one that asks may never get its question through.
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._ask, daemon=True).start()

    def _listen(self) -> None:
        # Ticks are counted, not a clock read: after a suspend the peer gets its seconds again.
        ticks, heard_bytes = 0, -1
        while self._transport.is_active():
            ticks = ticks + 1 if self._wire.heard_bytes == heard_bytes else 0
            heard_bytes = self._wire.heard_bytes
            if ticks >= SILENCE_S:
                self._transport.close()
            elif ticks >= _ASK_AFTER_S:
                self._doubt.set()
            self._transport.join(_TICK_S)
        self._doubt.set()

    def _ask(self) -> None:
        while self._transport.is_active():
            self._doubt.wait()
            self._doubt.clear()
            # The link may die between the two; then there is nobody to ask.
            with suppress(*BROKEN):
                self._transport.global_request("keepalive@openssh.com", wait=True)
