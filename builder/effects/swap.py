"""Put a folder in the place of another so that the place always holds one of the two."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EOPNOTSUPP, errno.EPERM)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def put_in_place(folder: Path, place: Path) -> None:
    """Rename ``folder`` to ``place``; what was there, if anything, is left beside ``folder``.

    At once where the file system can exchange two names; elsewhere ``place`` is absent for the
    moment between two renames. Raises ``OSError``.
    """
    while not _moved(folder, place):
        try:
            _exchange(folder, place)
            return
        except FileNotFoundError:
            continue  # somebody removed what was there
        except OSError as error:
            if error.errno not in _CANNOT_EXCHANGE:
                raise
            place.rename(folder.with_name(f"replaced-{os.urandom(4).hex()}"))


def _moved(folder: Path, place: Path) -> bool:
    try:
        folder.rename(place)
    except OSError as error:
        if error.errno in _OCCUPIED:
            return False
        raise
    return True


def _exchange(one: Path, other: Path) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        renameat2 = libc.renameat2
    except AttributeError:  # glibc before 2.28
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    old, new = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))
