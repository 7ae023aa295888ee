"""Where the locations in a model lead, found out without going there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

from builder.errors import ModelRefused

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


def locate(model: Path, location: str, needed_bytes: int) -> str:
    """Return the path, relative to the model's folder, that a location in the model means.

    Nothing is opened, and no link followed. Raises ``ModelRefused`` ``external-data-outside`` for
    what is not a plain file reached through plain folders, ``external-data-missing``,
    ``external-data-bounds`` for fewer than ``needed_bytes``, and ``OSError``.
    """
    relative = _relative(model, location)
    status = _status(model, relative)
    if status.st_size < needed_bytes:
        raise _refused(
            model,
            "external-data-bounds",
            f"external data {location!r} has {status.st_size} bytes of {needed_bytes} or more",
            remedy="copy or download that file again",
        )
    return str(relative)


def _relative(model: Path, location: str) -> PurePosixPath:
    relative = PurePosixPath(location)
    if relative.is_absolute() or ".." in relative.parts or "\\" in location or "\0" in location:
        raise _outside(model, location)
    if not relative.parts:
        raise _missing(model, location)
    return relative


def _status(model: Path, relative: PurePosixPath) -> os.stat_result:
    path = model.parent
    *folders, name = relative.parts
    for part in folders:
        path = path / part
        if not stat.S_ISDIR(_lstat(path, relative, model).st_mode):
            raise _outside(model, str(relative))
    status = _lstat(path / name, relative, model)
    # A second name of a file may well be one outside the folder.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise _outside(model, str(relative))
    return status


def _lstat(path: Path, relative: PurePosixPath, model: Path) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        if error.errno in _ABSENT:
            raise _missing(model, str(relative)) from None
        raise


def _outside(model: Path, location: str) -> ModelRefused:
    return _refused(
        model,
        "external-data-outside",
        f"external data {location!r} is not a plain file below the model's folder",
        remedy="copy the data there, without links, and save the model with that relative location",
    )


def _missing(model: Path, location: str) -> ModelRefused:
    return _refused(
        model,
        "external-data-missing",
        f"external data {location!r} is missing",
        remedy="put the file beside the model it was saved with",
    )


def _refused(model: Path, reason: str, what: str, remedy: str) -> ModelRefused:
    return ModelRefused(what, reason=reason, where=str(model), remedy=remedy)
