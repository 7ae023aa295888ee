"""Opening files that strangers name: below a folder, through no link, and plain ones only.

Each folder on the way is opened from the one before it (openat(2), O_NOFOLLOW), so nobody can put
a link in its place between a look and the opening.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Whoever opens a pipe would wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_beneath(root: Path, relative: str) -> int:
    """Return a descriptor of the plain file ``relative``, reached from the folder ``root``.

    ``root`` itself may be a link. Raises ``OSError``: ``ELOOP`` or ``ENOTDIR`` for a link on the
    way, ``EXDEV`` for a path that leads outside, ``EINVAL`` for what is no plain file.
    """
    parts = PurePosixPath(relative).parts
    if not parts or parts[0] == "/" or ".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), relative)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return _plain(os.open(parts[-1], _FILE, dir_fd=folder), relative)
    finally:
        os.close(folder)


def open_plain(path: Path) -> int:
    """Return a descriptor of the plain file at ``path``, which must be no link itself."""
    return _plain(os.open(path, _FILE), str(path))


def read_plain(path: Path, most_bytes: int) -> bytes:
    """Return what a plain file holds. Raises ``OSError``, ``EFBIG`` beyond ``most_bytes``."""
    with os.fdopen(open_plain(path), "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def _plain(descriptor: int, name: str) -> int:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "this is no plain file", name)
    return descriptor
