"""One payload process with all it starts: heard line by line, and never outlived."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from builder.effects.payload_events import LineSplitter
from builder.package_files import package_root

Stream = Literal["stdout", "stderr"]

_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH")
_PASSED_ON_PREFIXES = ("OMP_", "OPENBLAS_", "MKL_")
_POLL_S = 0.1
_STEP_S = 0.01
_GRACE_S = 2.0
_PIECE_BYTES = 1 << 16


def payload_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of ``environ`` a payload process gets, and what every one of them gets."""
    passed_on = {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return passed_on | {
        "PYTHONPATH": str(package_root().parent),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


class PayloadProcess:
    """A process that leads its own session and group; leaving the context kills all of the group.

    Its standard input stays open as long as this process lives: end of file there tells the payload
    that its client is gone, however it went. Raises ``OSError`` where it cannot be started.
    """

    def __init__(self, argv: Sequence[str], *, environ: Mapping[str, str], folder: Path) -> None:
        process = subprocess.Popen(
            argv,
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=0o022,
        )
        assert process.stdin and process.stdout and process.stderr, "all three are pipes"
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr

    def __enter__(self) -> PayloadProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()

    def lines(self, cancel: threading.Event) -> Iterator[tuple[Stream, str]]:
        """Give what the process says on both streams until it has ended or ``cancel`` is set."""
        splitters: dict[Stream, LineSplitter] = {"stdout": LineSplitter(), "stderr": LineSplitter()}
        for stream, piece in self._pieces(cancel):
            for line in splitters[stream].feed(piece):
                yield stream, line
        for stream, splitter in splitters.items():
            for line in splitter.finish():
                yield stream, line

    def terminate(self) -> None:
        """Ask the group to end, and wait up to 2 s for its leader to do so."""
        self._signal(signal.SIGTERM)
        deadline_s = time.monotonic() + _GRACE_S
        while not self._has_ended() and time.monotonic() < deadline_s:
            time.sleep(_STEP_S)

    def status(self, cancel: threading.Event) -> int | None:
        """Wait for the end; return the exit status, negative for a signal, or None if cancelled."""
        while not self._has_ended():
            if cancel.wait(_STEP_S):
                return None
        self._signal(signal.SIGKILL)
        return self._process.wait()

    def _pieces(self, cancel: threading.Event) -> Iterator[tuple[Stream, bytes]]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ, "stdout")
            selector.register(self._stderr, selectors.EVENT_READ, "stderr")
            while selector.get_map() and not cancel.is_set():
                ready = selector.select(_POLL_S)
                for key, _ in ready:
                    if piece := os.read(key.fd, _PIECE_BYTES):
                        yield key.data, piece
                    else:
                        selector.unregister(key.fileobj)
                if self._has_ended():
                    # What it started may hold the pipes open, and has nobody to work for any more.
                    self._signal(signal.SIGKILL)
                    if not ready:
                        return

    def _has_ended(self) -> bool:
        # Not reaped, so that its number keeps meaning this group until the group has been killed.
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process.returncode is not None or bool(
            os.waitid(os.P_PID, self._process.pid, options)
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
