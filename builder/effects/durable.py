"""Files that are there whole or not at all, whatever dies in between."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.errors import BuildFailed

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CANNOT_COPY_IN_KERNEL = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
_CHUNK_BYTES = 1 << 30


@contextmanager
def refusals(place: Path, *, unwritable: str, remedy: str) -> Iterator[None]:
    """Turn what the disk refuses below ``place`` into ``BuildFailed``.

    The reason is ``disk-full`` where that is why, else ``unwritable``, which ``remedy`` mends.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise BuildFailed(
            "the disk is full" if full else f"cannot write: {error.strerror or error}",
            reason="disk-full" if full else unwritable,
            where=str(error.filename or place),
            state="nothing half-written was kept",
            remedy="free some space (boardwright cache clean --max-size 2G)" if full else remedy,
        ) from error


def make_private(folder: Path) -> None:
    """Make ``folder`` where it is not there, shut to others: it is to hold people's weights.

    A folder that is there keeps its mode: it may be shared on purpose, or be no folder of ours.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the bytes of a file are on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file at once, mode 0644: readers and crashes see the old content or the new."""
    part = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        write_synced(part, content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file with mode 0644 and wait until it is on the disk."""
    with path.open("xb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def copy_synced(source: Path, destination: Path, *, mode: int) -> None:
    """Copy a file's bytes to a new file, sharing blocks where the file system can."""
    with source.open("rb", buffering=0) as reader, destination.open("xb", buffering=0) as writer:
        if not _copied_in_kernel(reader.fileno(), writer.fileno()):
            shutil.copyfileobj(reader, writer)
        os.fchmod(writer.fileno(), mode)
        os.fsync(writer.fileno())


def remove_tree(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it; what is not there is fine.

    Links are removed, never followed. Folders that forbid removing are opened up first.
    """
    try:
        path.unlink(missing_ok=True)
        return
    except (IsADirectoryError, PermissionError):
        pass
    try:
        shutil.rmtree(path)
    except PermissionError:
        _open_up(path)
        shutil.rmtree(path)


def _open_up(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o700)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copied_in_kernel(reader: int, writer: int) -> bool:
    copied = 0
    try:
        while count := os.copy_file_range(reader, writer, _CHUNK_BYTES):
            copied += count
    except OSError as error:
        if copied or error.errno not in _CANNOT_COPY_IN_KERNEL:
            raise
        return False
    # Some file systems answer 0 for files they make up on the fly; those have to be read.
    return copied == os.fstat(reader).st_size
