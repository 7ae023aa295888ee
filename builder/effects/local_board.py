"""This machine, taken for a board: the three verbs of a transport without any link."""

from __future__ import annotations

import errno
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from builder.errors import BoardwrightError, DeviceLost, DeviceRefused
from builder.model.device import Completed

_CHUNK_BYTES = 1 << 16
_CAUSES = {
    errno.ENOSPC: "no-space",
    errno.EDQUOT: "no-space",
    errno.EROFS: "read-only",
    errno.EACCES: "no-permission",
    errno.EPERM: "no-permission",
    errno.ELOOP: "planted-link",
    errno.ENOENT: "no-folder",
    errno.ENOTDIR: "no-folder",
}


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
        try:
            process = _start(command)
        except OSError as error:
            status = 127 if error.errno == errno.ENOENT else 126
            return Completed(
                status=status, stdout=b"", stderr=os.strerror(error.errno or 0).encode()
            )
        with _ended(process):
            threading.Thread(target=_feed, args=(process, stdin), daemon=True).start()
            return _collect(process, on_stdout, limit_bytes, time.monotonic() + timeout_s)

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        """See ``Transport.put``."""
        with _refusals(path, _CAUSES):
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
                file.truncate(offset)
                file.seek(offset)
                sent = 0
                while piece := source.read(_CHUNK_BYTES):
                    sent += file.write(piece)
                    if on_sent is not None:
                        on_sent(sent)

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        """See ``Transport.get``."""
        size = 0
        with _refusals(path, {**_CAUSES, errno.ENOENT: "no-file"}), Path(path).open("rb") as file:
            while piece := file.read(_CHUNK_BYTES):
                size += len(piece)
                if size > limit_bytes:
                    raise _endless(path, limit_bytes)
                sink.write(piece)
        return size


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    # A board's shell knows nothing of this program's environment.
    home = {"PATH": os.defpath, "HOME": str(Path.home()), "LC_ALL": "C"}
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env=home, start_new_session=True
    )


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def _feed(process: subprocess.Popen[bytes], stdin: Iterable[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ValueError):
        for piece in stdin:
            process.stdin.write(piece)
            process.stdin.flush()
    with suppress(BrokenPipeError):
        process.stdin.close()


def _collect(
    process: subprocess.Popen[bytes],
    on_stdout: Callable[[bytes], None] | None,
    limit_bytes: int,
    deadline_s: float,
) -> Completed:
    assert process.stdout is not None and process.stderr is not None
    pieces: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    left = limit_bytes
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ, "stdout")
        ready.register(process.stderr, selectors.EVENT_READ, "stderr")
        while ready.get_map():
            if not (events := ready.select(max(0.0, deadline_s - time.monotonic()))):
                raise _timeout(process)
            for key, _ in events:
                piece = os.read(key.fd, _CHUNK_BYTES)
                if not piece:
                    ready.unregister(key.fileobj)
                if (left := left - len(piece)) < 0:
                    raise _endless(str(process.args), limit_bytes)
                pieces[key.data].append(piece)
                if on_stdout is not None and key.data == "stdout" and piece:
                    on_stdout(piece)
    status = _status(process, deadline_s)
    return Completed(
        status=status, stdout=b"".join(pieces["stdout"]), stderr=b"".join(pieces["stderr"])
    )


def _status(process: subprocess.Popen[bytes], deadline_s: float) -> int:
    try:
        status = process.wait(max(0.0, deadline_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _timeout(process) from None
    return status if status >= 0 else 128 - status


@contextmanager
def _refusals(path: str, causes: dict[int, str]) -> Iterator[None]:
    try:
        yield
    except BoardwrightError:
        raise
    except OSError as error:
        raise DeviceRefused(
            f"cannot use the file: {error.strerror or error}",
            reason=causes.get(error.errno or 0, "no-permission"),
            where=path,
        ) from error


def _endless(what: str, limit_bytes: int) -> DeviceLost:
    return DeviceLost(
        f"the board sent more than {limit_bytes} bytes", reason="endless-output", where=what
    )


def _timeout(process: subprocess.Popen[bytes]) -> DeviceLost:
    return DeviceLost("the command did not end in time", reason="timeout", where=str(process.args))
