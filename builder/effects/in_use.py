"""What living processes use right now, so that nobody removes it under them.

Each process appends the names it uses to a file it owns (``builder.effects.ownership``), before it
looks whether they exist. Who removes reads the files of the living first. Both happen under one
lock, held for microseconds: a name is either seen by the remover or written after the removal, and
then its user finds it gone.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.effects.durable import make_private
from builder.effects.ownership import OwnedFile, locked, orphans, own_file, owned_files

_PREFIX = "use-"


class InUse:
    """The names this process uses, and with ``removal`` those that any process does.

    ``folder`` holds the lock files and is made when first needed. Names hold no newline. A name
    counts as used until the process ends or the object is garbage.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gate = folder / "removal"
        self._mine: OwnedFile | None = None
        self._noted: set[str] = set()
        self._threads = threading.Lock()

    def note(self, name: str) -> None:
        """Declare a name as used from now on. Raises ``OSError`` where it cannot be written."""
        with self._threads:
            if name in self._noted:
                return
            self._make_folder()
            with locked(self._gate, shared=True):
                os.write(self._descriptor(), f"{name}\n".encode())
            self._noted.add(name)

    @contextmanager
    def removal(self) -> Iterator[frozenset[str]]:
        """Give the names in use, none of which may be removed; no other comes until leaving."""
        self._make_folder()
        with locked(self._gate, shared=False):
            yield frozenset(self._names())

    def _make_folder(self) -> None:
        make_private(self._folder.parent)
        self._folder.mkdir(exist_ok=True)

    def _names(self) -> Iterator[str]:
        for path in owned_files(self._folder, f"{_PREFIX}*"):
            with suppress(FileNotFoundError):
                yield from path.read_text(encoding="utf-8").splitlines()

    def _descriptor(self) -> int:
        if self._mine is None:
            for path in orphans(self._folder, f"{_PREFIX}*"):
                path.unlink(missing_ok=True)
            self._mine = own_file(self._folder, prefix=_PREFIX)
            weakref.finalize(self, self._mine.release)
        return self._mine.descriptor
