"""The files of a bundle as facts: which there are, what they hash to, and which may be executed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.errors import IntegrityError

EXECUTABLES = frozenset({"bin/run", "run.sh"})
"""Paths in a bundle with mode 0755. A rule, not the disk's bits, so that no umask shows."""

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFact:
    """One file of a bundle: SHA-256 hex, bytes, and permission bits as octal text (``0644``)."""

    sha256: str
    size_bytes: int
    mode: str


def mode_of(path: str) -> int:
    """Return the permission bits that the file at ``path`` in a bundle has, wherever it is."""
    return 0o755 if path in EXECUTABLES else 0o644


def list_files(folder: Path) -> tuple[str, ...]:
    """Return the relative POSIX path of every file below ``folder``, sorted by code point.

    Python's byte code caches are no part of a bundle: importing its package from a bundle in use
    writes them. Raises ``IntegrityError`` for anything but a file or a folder.
    """
    return tuple(sorted(_walk(folder, "")))


def fact_of(folder: Path, path: str) -> FileFact:
    """Read the file ``path`` of the bundle ``folder`` once and return its facts."""
    with (folder / path).open("rb") as stream:
        return read_fact(stream, path)


def read_fact(stream: BinaryIO, path: str) -> FileFact:
    """Read ``stream`` to its end, in small pieces, and return its facts as the file ``path``."""
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return FileFact(sha256=digest.hexdigest(), size_bytes=size, mode=f"{mode_of(path):04o}")


def may_execute(folder: Path, path: str) -> bool:
    """Tell whether the file's owner may execute it, as the disk says."""
    return bool((folder / path).stat().st_mode & stat.S_IXUSR)


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _walk(Path(entry.path), f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise IntegrityError(
                    "neither a file nor a folder", reason="bundle-not-plain", where=path
                )
