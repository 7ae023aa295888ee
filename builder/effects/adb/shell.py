"""Running one command over adb's shell protocol: separate streams and the real exit status.

Protocol: shell_protocol.h of AOSP's packages/modules/adb (``shell,v2``): a packet is one byte of
kind, four of length (little-endian) and its content.
"""

from __future__ import annotations

import secrets
import select
import shlex
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from builder.effects.adb.server import ANSWER_S, service
from builder.effects.adb.settings import AdbSettings
from builder.effects.board_failures import link_lost, timed_out
from builder.effects.board_input import Feeder
from builder.effects.board_marks import KILL_MARKED, MARKED
from builder.effects.board_output import BoundedOutput
from builder.errors import DeviceLost, DeviceRefused
from builder.model.device import Completed

_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_HEADER = struct.Struct("<BI")
_PIECE_BYTES = 1 << 16
_LARGEST_PACKET = 1 << 24
_SILENT_S = 3.0  # then the device is asked whether it is still there, for at most 12 s more
_KILL_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdbShell:
    """The shell of one device."""

    settings: AdbSettings
    serial: str

    def execute(
        self,
        command: Sequence[str],
        output: BoundedOutput,
        *,
        stdin: Iterable[bytes],
        timeout_s: float,
    ) -> Completed:
        """Run an argv to its end; what it says goes to ``output``.

        Raises ``DeviceLost`` as ``Transport.run`` does.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._started(command) as stream:
            feeder = _feeder(stream, stdin)
            try:
                status = self._collect(stream, output, deadline_s)
            except DeviceLost:
                feeder.check()  # what it raised ended the stream, and is the cause
                raise
            feeder.check()
            if status is None:
                raise timed_out(output.command, timeout_s)
            return output.completed(status)

    @contextmanager
    def _started(self, command: Sequence[str]) -> Iterator[_Stream]:
        mark = secrets.token_hex(16)
        with self._stream(("sh", "-c", MARKED, mark, *command)) as stream:
            try:
                yield stream
            finally:
                if stream.status is None:
                    self._kill(mark)

    @contextmanager
    def _stream(self, command: Sequence[str], answer_s: float = ANSWER_S) -> Iterator[_Stream]:
        request = f"shell,v2,raw:{shlex.join(command)}"
        with service(self.settings, self.serial, request, answer_s=answer_s) as end:
            end.settimeout(None)
            try:
                yield _Stream(end, self.serial)
            finally:
                with suppress(OSError):  # it wakes a feeder that waits for room
                    end.shutdown(socket.SHUT_RDWR)

    def _collect(self, stream: _Stream, output: BoundedOutput, deadline_s: float) -> int | None:
        """Read packets until the command has ended; return its status, None where time is up."""
        while (left_s := deadline_s - time.monotonic()) > 0:
            if not stream.wait(min(left_s, _SILENT_S)):
                self._require_answer()
                continue
            for kind, content in stream.packets():
                if kind == _STDOUT:
                    output.add_stdout(content)
                elif kind == _STDERR:
                    output.add_stderr(content)
            if stream.status is not None:
                return stream.status
        return None

    def _require_answer(self) -> None:
        with service(self.settings, self.serial, "sync:"):
            pass

    def _kill(self, mark: str) -> None:
        """Kill what still runs of a command; to close its stream would leave it running."""
        with (
            suppress(DeviceLost, DeviceRefused),
            self._stream(("sh", "-c", KILL_MARKED, "sh", mark), _KILL_S) as stream,
        ):
            deadline_s = time.monotonic() + _KILL_S
            self._collect(stream, BoundedOutput("kill", _PIECE_BYTES, None), deadline_s)


class _Stream:
    """The packets of one command. ``status`` is set by its last one."""

    def __init__(self, end: socket.socket, where: str) -> None:
        self._end = end
        self._where = where
        self._received = b""
        self.status: int | None = None

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to read; return whether there is."""
        return bool(select.select([self._end], [], [], timeout_s)[0])

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """Yield the packets that have come whole. Raises ``DeviceLost`` ``link-lost``."""
        try:
            piece = self._end.recv(_PIECE_BYTES)
        except OSError as error:
            raise link_lost(self._where, error.strerror) from error
        if not piece:
            raise link_lost(self._where, "the adb server closed the stream")
        self._received += piece
        while (packet := self._take()) is not None:
            kind, content = packet
            if kind == _EXIT:
                self.status = content[0] if content else 0
            yield packet

    def send(self, kind: int, content: bytes = b"") -> None:
        """Send one packet. Raises ``OSError`` where the stream is gone."""
        self._end.sendall(_HEADER.pack(kind, len(content)) + content)

    def _take(self) -> tuple[int, bytes] | None:
        if len(self._received) < _HEADER.size:
            return None
        kind, size_bytes = _HEADER.unpack_from(self._received)
        if size_bytes > _LARGEST_PACKET:
            raise link_lost(self._where, "what answers speaks another protocol")
        end = _HEADER.size + size_bytes
        if len(self._received) < end:
            return None
        content = self._received[_HEADER.size : end]
        self._received = self._received[end:]
        return kind, content

    def abandon(self) -> None:
        """End the stream from another thread: whoever waits for it wakes up."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)


def _feeder(stream: _Stream, stdin: Iterable[bytes]) -> Feeder:
    def send(piece: bytes) -> None:
        for at in range(0, len(piece), _PIECE_BYTES):
            stream.send(_STDIN, piece[at : at + _PIECE_BYTES])

    def close() -> None:
        stream.send(_CLOSE_STDIN)

    done: tuple[type[Exception], ...] = (OSError,)
    close_input: Callable[[], object] = close
    return Feeder(stdin, send=send, close=close_input, stop=stream.abandon, done=done)
