"""Protocols between the pure floors and the effects. Adapters live in ``builder.effects``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

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
