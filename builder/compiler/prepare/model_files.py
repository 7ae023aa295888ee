"""The files of a model, each opened once, through no link, and hashed before it is used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from builder.beneath import open_beneath
from builder.errors import BuildFailed


class ModelFiles:
    """Files below ``folder`` by the locations that a model gives them.

    ``digests`` are the SHA-256 that were surveyed, by relative path; without any nothing is
    compared. A file stays open, and so the same one, until this object goes.
    """

    def __init__(self, folder: Path, digests: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._digests = digests
        self._opened: dict[str, int] = {}

    def __del__(self) -> None:
        for descriptor in self._opened.values():
            os.close(descriptor)

    def path(self, location: str) -> Path:
        """Return a path that leads to the very file that was opened, whatever its name says now.

        Raises ``BuildFailed`` ``source-changed`` where it is not what was surveyed, and ``OSError``
        as ``open_beneath`` does where nothing was.
        """
        name = str(PurePosixPath(location))
        if name not in self._opened:
            self._opened[name] = self._open(name)
            self._require_same(name)
        return Path(f"/proc/self/fd/{self._opened[name]}")

    def _open(self, name: str) -> int:
        try:
            return open_beneath(self._folder, name)
        except OSError as error:
            if self._digests is None:
                raise
            raise _changed(name, error.strerror) from error

    def _require_same(self, name: str) -> None:
        if self._digests is None:
            return
        with os.fdopen(os.dup(self._opened[name]), "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._digests.get(name):
            raise _changed(name, "it holds something else")


def _changed(name: str, why: str | None) -> BuildFailed:
    return BuildFailed(
        "a file changed or went away during the build",
        reason="source-changed",
        where=name,
        why=why,
        remedy="run the build again",
    )
