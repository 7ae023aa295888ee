"""Files and folders that belong to a living process, by ``flock``: whoever dies lets go.

A file is locked from its creation to its owner's death, however it dies, and the kernel is the
witness: no process number to be reused, nothing to compare across containers or reboots.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from builder.effects.durable import remove_tree

_FOLDER_PREFIX = ".boardwright-"
_LOCK_SUFFIX = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedFile:
    """A file this process holds locked through ``descriptor`` until it releases it or dies."""

    path: Path
    descriptor: int

    def release(self) -> None:
        """Remove the file and let go of it."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def own_file(folder: Path, *, prefix: str, suffix: str = "") -> OwnedFile:
    """Make a new file in ``folder`` and lock it."""
    while True:
        path = folder / f"{prefix}{os.urandom(8).hex()}{suffix}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        owned = OwnedFile(path=path, descriptor=os.open(path, flags, 0o644))
        # A sweep that came between open and lock has taken the file for an orphan.
        if _locked(owned.descriptor) and os.fstat(owned.descriptor).st_nlink:
            return owned
        os.close(owned.descriptor)


def owned_files(folder: Path, pattern: str) -> Iterator[Path]:
    """Give the files matching ``pattern`` whose owners are alive, this process among them."""
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError), _opened(path) as descriptor:
            if not _locked(descriptor):
                yield path


def orphans(folder: Path, pattern: str) -> Iterator[Path]:
    """Give the files matching ``pattern`` whose owners have died, each locked while given."""
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError), _opened(path) as descriptor:
            if _locked(descriptor):
                yield path


@contextmanager
def owned_folder(parent: Path) -> Iterator[Path]:
    """Give an empty hidden folder in ``parent``, removed on leaving unless it was moved away.

    What a process leaves that dies inside, ``sweep`` removes.
    """
    owned = own_file(parent, prefix=_FOLDER_PREFIX, suffix=_LOCK_SUFFIX)
    folder = _folder_of(owned.path)
    try:
        folder.mkdir()
        folder.chmod(0o755)
        yield folder
    finally:
        with suppress(OSError):  # what cannot be removed now, a later sweep removes
            remove_tree(folder)
        owned.release()


def sweep(parent: Path) -> None:
    """Remove the folders that dead processes left in ``parent``."""
    for path in orphans(parent, f"{_FOLDER_PREFIX}*{_LOCK_SUFFIX}"):
        with suppress(OSError):
            remove_tree(_folder_of(path))
            path.unlink()


@contextmanager
def locked(path: Path, *, shared: bool) -> Iterator[None]:
    """Hold a lock for a moment, waiting for it; the file stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _folder_of(lock: Path) -> Path:
    return lock.with_name(lock.name.removesuffix(_LOCK_SUFFIX))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
