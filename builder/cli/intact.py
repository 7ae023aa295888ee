"""A bundle that a user names, found to be what its manifest says."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from builder.boards.bundle import LocalBundle, read_bundle
from builder.bundle.contents import FileFact, may_execute
from builder.bundle.manifest import MANIFEST, compare_files
from builder.cli.bundle_place import find_bundle
from builder.effects.digest_memo import sha256_of
from builder.errors import IntegrityError


def intact_bundle(place: Path, sha256: Callable[[Path], str] = sha256_of) -> LocalBundle:
    """Return the bundle at ``place`` or in its ``bundle`` once every file of it has been compared.

    ``sha256`` digests a file. What lies there besides does not count: nobody runs or sends it.
    Raises as ``find_bundle`` does, and ``IntegrityError`` ``bundle-differs`` naming the file.
    """
    bundle = read_bundle(find_bundle(place))
    listed = {file.path: file for file in bundle.files if file.path != MANIFEST}
    there = [path for path in listed if _is_plain(bundle.folder / path)]
    compare_files(
        {
            path: FileFact(sha256=file.sha256, size_bytes=file.size_bytes, mode=f"{file.mode:04o}")
            for path, file in listed.items()
        },
        {path: _fact(bundle.folder, path, listed[path].mode, sha256) for path in there},
        wrong_modes=[
            path
            for path in there
            if listed[path].mode & 0o100 and not may_execute(bundle.folder, path)
        ],
    )
    return bundle


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _fact(folder: Path, path: str, mode: int, sha256: Callable[[Path], str]) -> FileFact:
    file = folder / path
    try:
        size, digest = file.lstat().st_size, sha256(file)
    except OSError as error:
        raise IntegrityError(
            "a file of the bundle cannot be read",
            reason="bundle-differs",
            where=path,
            why=error.strerror,
            remedy="unpack the archive again, or build the bundle again",
        ) from error
    return FileFact(sha256=digest, size_bytes=size, mode=f"{mode:04o}")
