"""This machine, taken for a board: the three verbs of a transport without any link."""

from __future__ import annotations

import errno
import os
import selectors
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from builder.effects.board_failures import endless, reason_by_errno, refused, timed_out
from builder.effects.board_input import Feeder
from builder.effects.board_output import BoundedOutput
from builder.model.device import Completed

_CHUNK_BYTES = 1 << 16


class LocalBoard:
    """A ``Transport`` whose commands are processes of this machine, with a bare environment."""

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        on_stdout: Callable[[bytes], None] | None = None,
        limit_bytes: int = 1 << 20,
        timeout_s: float = 60.0,
    ) -> Completed:
        """See ``Transport.run``. A command that cannot be started ends with 126 or 127."""
        deadline_s = time.monotonic() + timeout_s
        try:
            process = _start(command)
        except OSError as error:
            return _not_started(error)
        output = BoundedOutput(shlex.join(command), limit_bytes, on_stdout)
        with _ended(process):
            feeder = _feeder(process, stdin)
            in_time = _collect(process, output, deadline_s) and _left_by(process, deadline_s)
            feeder.check()
            if not in_time:
                raise timed_out(shlex.join(command), timeout_s)
            return output.completed(_status(process.returncode))

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        """See ``Transport.put``."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _opened(path, flags, "wb", "no-folder") as file:
            with _refusals(path):
                file.truncate(offset)
                file.seek(offset)
            sent = 0
            while piece := source.read(_CHUNK_BYTES):
                with _refusals(path):
                    _write_all(file, piece)
                sent += len(piece)
                if on_sent is not None:
                    on_sent(sent)

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        """See ``Transport.get``."""
        size = 0
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        with _opened(path, flags, "rb", "no-file") as file:
            while piece := _read(file, path):
                size += len(piece)
                if size > limit_bytes:
                    raise endless(path, limit_bytes)
                sink.write(piece)
        return size


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    # A board's shell knows nothing of this program's environment.
    home = {"PATH": os.defpath, "HOME": str(Path.home()), "LC_ALL": "C"}
    return subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=home,
        cwd=home["HOME"] if Path(home["HOME"]).is_dir() else "/",
        start_new_session=True,
    )


def _not_started(error: OSError) -> Completed:
    status = 127 if error.errno == errno.ENOENT else 126
    words = os.strerror(error.errno or 0).encode()
    return Completed(status=status, stdout=b"", stderr=words)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        _kill(process)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            with suppress(BrokenPipeError):  # what the feeder had not sent yet
                stream.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _feeder(process: subprocess.Popen[bytes], stdin: Iterable[bytes]) -> Feeder:
    into = process.stdin
    assert into is not None

    def send(piece: bytes) -> None:
        into.write(piece)
        into.flush()

    # A pipe that was closed by this side in the meantime says ValueError.
    done = (OSError, ValueError)
    return Feeder(stdin, send=send, close=into.close, stop=lambda: _kill(process), done=done)


def _collect(process: subprocess.Popen[bytes], output: BoundedOutput, deadline_s: float) -> bool:
    """Read both streams to their ends; return whether they came in time."""
    assert process.stdout is not None and process.stderr is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ, output.add_stdout)
        ready.register(process.stderr, selectors.EVENT_READ, output.add_stderr)
        while ready.get_map():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            for key, _ in ready.select(left_s):
                if piece := os.read(key.fd, _CHUNK_BYTES):
                    key.data(piece)
                else:
                    ready.unregister(key.fileobj)
    return True


def _left_by(process: subprocess.Popen[bytes], deadline_s: float) -> bool:
    try:
        process.wait(max(0.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _status(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


@contextmanager
def _opened(path: str, flags: int, mode: str, missing: str) -> Iterator[FileIO]:
    with _refusals(path, missing):
        descriptor = os.open(path, flags, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refused(path, "not-a-file")
    with FileIO(descriptor, mode) as file:
        yield file


def _read(file: FileIO, path: str) -> bytes:
    with _refusals(path):
        return file.read(_CHUNK_BYTES)


def _write_all(file: FileIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]


@contextmanager
def _refusals(path: str, missing: str = "no-folder") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = reason_by_errno(error.errno)
        if reason == "no-folder":
            reason = missing
        raise refused(path, reason, why=error.strerror) from error
