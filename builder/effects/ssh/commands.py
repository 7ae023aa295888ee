"""Running one command over a connection: both of its streams drained, its end told apart."""

from __future__ import annotations

import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import paramiko

from builder.effects.board_failures import link_lost, timed_out
from builder.effects.board_input import Feeder
from builder.effects.board_marks import KILL_MARKED, MARKED
from builder.effects.board_output import BoundedOutput
from builder.effects.ssh.wire import BROKEN
from builder.errors import DeviceLost, DeviceRefused
from builder.model.device import Completed

PIECE_BYTES = 32_000
"""How much one packet of every server can hold beside its headers."""

_OPEN_S = 15.0
_KILL_S = 10.0
_AT_ONCE_BYTES = 1 << 21  # a whole window: taking less of it would move the rest
_NO_STATUS = -1


def execute(
    transport: paramiko.Transport,
    where: str,
    command: Sequence[str],
    output: BoundedOutput,
    *,
    stdin: Iterable[bytes],
    timeout_s: float,
) -> Completed:
    """Run an argv to its end; what it says goes to ``output``.

    Raises ``DeviceLost`` as ``Transport.run`` does. ``where`` names the board in a failure.
    """
    deadline_s = time.monotonic() + timeout_s
    with _started(transport, where, command, min(timeout_s, _OPEN_S)) as channel:
        bell = _Bell(channel)
        feeder = _feeder(channel, stdin, bell.set)
        in_time = _collect(channel, where, output, bell, feeder, deadline_s) and _ended(
            channel, deadline_s
        )
        if not in_time:
            raise timed_out(output.command, timeout_s)
        # A dead link looks like the end of both streams: only a status tells that it was one.
        if channel.exit_status == _NO_STATUS:
            raise link_lost(where)
        return output.completed(channel.exit_status)


def session(transport: paramiko.Transport, where: str, timeout_s: float) -> paramiko.Channel:
    """Open a channel. Raises ``DeviceLost`` or ``DeviceRefused`` (``no-session``)."""
    try:
        with broken_is_lost(where):
            return transport.open_session(timeout=timeout_s)
    except paramiko.ChannelException as error:
        raise DeviceRefused(
            "the server opens no further session",
            reason="no-session",
            where=where,
            why=str(error),
            remedy="raise MaxSessions in the board's sshd_config",
        ) from error


@contextmanager
def broken_is_lost(where: str) -> Iterator[None]:
    """Raise ``DeviceLost`` for whatever the library raises when the link dies under a call."""
    try:
        yield
    except paramiko.ChannelException:
        raise
    except BROKEN as error:
        raise link_lost(where, str(error) or None) from error


@contextmanager
def _started(
    transport: paramiko.Transport, where: str, command: Sequence[str], timeout_s: float
) -> Iterator[paramiko.Channel]:
    mark = secrets.token_hex(16)
    with _closing(session(transport, where, timeout_s)) as channel:
        _exec(channel, where, ("sh", "-c", MARKED, mark, *command))
        try:
            yield channel
        finally:
            if not channel.exit_status_ready() or channel.exit_status == _NO_STATUS:
                _kill(transport, where, mark)


def _kill(transport: paramiko.Transport, where: str, mark: str) -> None:
    """Kill what still runs of a command; to close its channel would leave it running."""
    with (
        suppress(DeviceLost, DeviceRefused),
        _closing(session(transport, where, _KILL_S)) as channel,
    ):
        _exec(channel, where, ("sh", "-c", KILL_MARKED, "sh", mark))
        channel.status_event.wait(_KILL_S)


def _exec(channel: paramiko.Channel, where: str, command: Sequence[str]) -> None:
    with broken_is_lost(where):
        channel.exec_command(shlex.join(command).encode("utf-8", "surrogateescape"))


@contextmanager
def _closing(channel: paramiko.Channel) -> Iterator[paramiko.Channel]:
    try:
        yield channel
    finally:
        with suppress(*BROKEN):
            channel.close()


def _feeder(channel: paramiko.Channel, stdin: Iterable[bytes], stop: Callable[[], None]) -> Feeder:
    def send(piece: bytes) -> None:
        for at in range(0, len(piece), PIECE_BYTES):
            channel.sendall(piece[at : at + PIECE_BYTES])

    return Feeder(stdin, send=send, close=channel.shutdown_write, stop=stop, done=BROKEN)


class _Bell(threading.Event):
    """Rings when there is something to read, an end included, and whenever it is set."""

    def __init__(self, channel: paramiko.Channel) -> None:
        super().__init__()
        channel.in_buffer.set_event(self)
        channel.in_stderr_buffer.set_event(self)

    def clear(self) -> None:
        """Do nothing: one stream that was read empty says nothing of the other."""

    def wait_next(self, timeout_s: float) -> bool:
        """Wait for a ring and take it; return whether there was one."""
        rung = self.wait(timeout_s)
        super().clear()
        return rung


def _collect(
    channel: paramiko.Channel,
    where: str,
    output: BoundedOutput,
    bell: _Bell,
    feeder: Feeder,
    deadline_s: float,
) -> bool:
    """Read both streams as they come, to their ends; return whether they came in time."""
    while bell.wait_next(max(0.0, deadline_s - time.monotonic())):
        feeder.check()
        # Asked before reading: what comes in between rings again.
        ended = channel.eof_received or channel.closed
        while piece := _read(channel.recv_ready, channel.recv, where):
            output.add_stdout(piece)
        while piece := _read(channel.recv_stderr_ready, channel.recv_stderr, where):
            output.add_stderr(piece)
        if ended:
            return True
    return False


def _read(ready: Callable[[], bool], receive: Callable[[int], bytes], where: str) -> bytes:
    with broken_is_lost(where):  # it also tells the server that there is room again
        return receive(_AT_ONCE_BYTES) if ready() else b""


def _ended(channel: paramiko.Channel, deadline_s: float) -> bool:
    return channel.status_event.wait(max(0.0, deadline_s - time.monotonic()))
