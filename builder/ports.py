"""Protocols between the pure floors and the effects. Adapters live in ``builder.effects``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from builder.model.device import Completed
from builder.model.source import Source
from builder.steps import Step

Log = Callable[[str], None]
"""Takes one line of a tool's output, without its newline."""


class Workshop(Protocol):
    """A place where the payload performs one step: a local subprocess, or a container."""

    def perform(
        self,
        step: Step,
        *,
        inputs: Mapping[str, Path],
        sources: Mapping[str, Source],
        output: Path,
        log: Log,
        cancel: threading.Event,
    ) -> None:
        """Fill the empty folder ``output`` with the artifact of ``step``.

        ``inputs`` are the artifacts of ``steps.needs(step)`` and ``sources`` the user's files, both
        read-only. Returns when done. Raises the payload's own failure, ``BuildFailed`` when the
        payload or the engine died, ``Interrupted`` soon after ``cancel`` is set; no process,
        container or file outside ``output`` outlives any of these.
        """
        ...


class Store(Protocol):
    """Artifacts by key: crash-safe, verified on read, shared by concurrent builds."""

    def lookup(self, key: str) -> Path | None:
        """Return the folder of a whole, verified artifact, or None. A corrupt one is dropped."""
        ...

    def lock(self, key: str, cancel: threading.Event) -> AbstractContextManager[None]:
        """Hold the right to make ``key``; others that want it wait. Freed when the holder dies."""
        ...

    def stage(self) -> AbstractContextManager[Path]:
        """Give an empty folder on the store's disk, removed on leaving if not committed."""
        ...

    def commit(self, key: str, staged: Path) -> Path:
        """Make the staged folder the artifact of ``key`` (hash, fsync, rename); return its path."""
        ...


class Clock(Protocol):
    """Time as an argument."""

    def monotonic_s(self) -> float: ...

    def now_utc_iso(self) -> str: ...


class Transport(Protocol):
    """A board within reach: three verbs, the same over SSH, over adb and on this machine.

    Verbs may be called from several threads at once. A link that dies ends every verb within
    20 seconds with ``DeviceLost`` (``link-lost``). Bytes that come from a board are never trusted.
    """

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        on_stdout: Callable[[bytes], None] | None = None,
        limit_bytes: int = 1 << 20,
        timeout_s: float = 60.0,
    ) -> Completed:
        """Run an argv on the board, quoted for its shell here and nowhere else.

        ``stdin`` is sent as it comes and then closed; an iterator that waits keeps the command
        alive, and it is abandoned when the command ends first. ``on_stdout`` sees each piece of
        output as it arrives. A command that is given up (timeout, limit, or what ``stdin`` and
        ``on_stdout`` raise, which is passed on) is killed with all it started; when the link dies,
        only a command that reads its input or writes output learns of it. Raises ``DeviceLost``:
        ``link-lost``, ``timeout`` after ``timeout_s``, ``endless-output`` when stdout and stderr
        together exceed ``limit_bytes``; ``DeviceRefused`` (``no-session``) where the board runs
        nothing more at once.
        """
        ...

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        """Write what is left of ``source`` to the file ``path`` from ``offset`` on.

        ``path`` is absolute; its folder exists; a new file has mode 0600, and an existing one is
        cut at ``offset`` first. A symbolic link there is refused, never followed. ``on_sent`` is
        told the bytes so far. Partial bytes stay where they are when the link dies. Raises
        ``DeviceLost`` (``link-lost``) or ``DeviceRefused`` with the cause: ``no-space``,
        ``read-only``, ``no-permission``, ``planted-link``, ``no-folder``, ``not-a-file``,
        ``file-busy`` (a program that runs), ``refused`` (none of these).
        """
        ...

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        """Write the file ``path`` of the board to ``sink``; return its size in bytes.

        Raises ``DeviceLost`` (``link-lost``, ``endless-output`` beyond ``limit_bytes``,
        ``garbled-output``) or ``DeviceRefused`` (``no-file``, ``no-permission``, ``not-a-file``).
        """
        ...
