"""A board behind SSH, as a transport."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import BinaryIO

import paramiko

from builder.effects import shell_files
from builder.effects.board_output import BoundedOutput
from builder.effects.ssh.commands import execute, session
from builder.effects.ssh.upload import STALL_S, upload
from builder.effects.ssh.wire import BROKEN
from builder.errors import DeviceRefused
from builder.model.device import Completed

_OPEN_S = 15.0


class SshBoard:
    """A ``Transport`` over an authenticated connection; failures call the board ``name``."""

    def __init__(self, transport: paramiko.Transport, name: str) -> None:
        self._transport = transport
        self._name = name
        self._execute = partial(execute, transport, name)
        self._idle: list[paramiko.SFTPClient] = []
        self._lock = threading.Lock()
        self._has_sftp = True

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        on_stdout: Callable[[bytes], None] | None = None,
        limit_bytes: int = 1 << 20,
        timeout_s: float = 60.0,
    ) -> Completed:
        """See ``Transport.run``."""
        output = BoundedOutput(shlex.join(command), limit_bytes, on_stdout)
        return execute(
            self._transport, self._name, command, output, stdin=stdin, timeout_s=timeout_s
        )

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        """See ``Transport.put``. A board without SFTP takes the file through its shell."""
        with self._sftp() as sftp:
            if sftp is None:
                shell_files.write(self._execute, source, path, offset, on_sent)
                return
            try:
                upload(sftp, self._name, source, path, offset, on_sent)
            except DeviceRefused as refusal:
                raise self._explained(refusal, path) from refusal

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        """See ``Transport.get``."""
        return shell_files.read(self._execute, path, sink, limit_bytes)

    def _explained(self, refusal: DeviceRefused, path: str) -> DeviceRefused:
        # SFTP has one word, "Failure", for a full disk, a read-only one and a running program.
        if refusal.reason != "refused":
            return refusal
        return shell_files.cause(self._execute, path) or refusal

    @contextmanager
    def _sftp(self) -> Iterator[paramiko.SFTPClient | None]:
        """Hold an SFTP session nobody else uses; one that something went wrong with is closed."""
        with self._lock:
            sftp = self._idle.pop() if self._idle else None
        if sftp is None and self._has_sftp:
            sftp = self._open_sftp()
        try:
            yield sftp
        except BaseException:
            if sftp is not None:
                # On a dead link even this fails, and would hide why.
                with suppress(*BROKEN):
                    sftp.close()
            raise
        if sftp is not None:
            with self._lock:
                self._idle.append(sftp)

    def _open_sftp(self) -> paramiko.SFTPClient | None:
        channel = session(self._transport, self._name, _OPEN_S)
        channel.settimeout(_OPEN_S)
        try:
            channel.invoke_subsystem("sftp")
            sftp = paramiko.SFTPClient(channel)
        except BROKEN:
            with suppress(*BROKEN):
                channel.close()
            # If the connection is dead too, the shell will say so.
            self._has_sftp = False
            return None
        channel.settimeout(STALL_S)
        return sftp
