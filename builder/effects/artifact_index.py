"""The list inside every stored artifact that says what the artifact is, to the byte."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder.beneath import read_plain
from builder.effects.digest_memo import DigestMemo, sha256_of
from builder.effects.durable import sync_file, sync_folder, write_synced
from builder.errors import BuildFailed

INDEX = ".artifact.json"

_FORMAT = 1
_INDEX_BYTES = 64 << 20
_ALWAYS_HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """One file of an artifact: relative POSIX path, SHA-256 hex, size, whether it may be run."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool


def seal(folder: Path, *, key: str, moves_to: Path, memo: DigestMemo) -> None:
    """Make the files of a staged artifact read-only, write its index, bring all of it to the disk.

    Raises ``BuildFailed`` ``odd-artifact`` for a link or a special file in it, and ``OSError``.
    """
    files = tuple(
        _seal_file(path, relative, moves_to=moves_to, memo=memo)
        for relative, path in regular_files(folder)
    )
    write_synced(folder / INDEX, _dump(key, files))
    for below, _, _ in os.walk(folder, topdown=False):
        Path(below).chmod(0o755)
        sync_folder(Path(below))


def is_whole(folder: Path, *, key: str, memo: DigestMemo) -> bool:
    """Say whether the artifact holds exactly what its index lists.

    Small files are read each time; large ones when their stamp is not known to ``memo``.
    """
    try:
        expected = {file.path: file for file in read_index(folder, key=key)}
        found = dict(regular_files(folder))
        return found.keys() == expected.keys() and all(
            _is_as_indexed(found[path], file, memo) for path, file in expected.items()
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError, BuildFailed):
        return False


def read_index(folder: Path, *, key: str) -> tuple[IndexedFile, ...]:
    """Return what the artifact should hold. Raises ``OSError``, ``ValueError`` and their like."""
    index: dict[str, Any] = json.loads(read_plain(folder / INDEX, _INDEX_BYTES))
    if (index["format"], index["key"]) != (_FORMAT, key):
        raise ValueError("the index of something else")
    return tuple(IndexedFile(**file) for file in index["files"])


def regular_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the files below ``folder`` but the index, as relative POSIX path and path, by path.

    Raises ``BuildFailed`` ``odd-artifact`` for anything that is neither a plain file nor a folder.
    """
    for below, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(folders + names):
            path = Path(below, name)
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise BuildFailed(
                    "a step made a link or a special file, which no artifact may hold",
                    reason="odd-artifact",
                    where=relative,
                )
            if stat.S_ISREG(mode) and relative != INDEX:
                yield relative, path


def _seal_file(path: Path, relative: str, *, moves_to: Path, memo: DigestMemo) -> IndexedFile:
    status = path.lstat()
    executable = bool(status.st_mode & 0o111)
    path.chmod(0o555 if executable else 0o444)
    sha256 = sha256_of(path)
    memo.seal(path, sha256, moves_to=moves_to / relative)
    sync_file(path)
    return IndexedFile(
        path=relative, sha256=sha256, size_bytes=status.st_size, executable=executable
    )


def _is_as_indexed(path: Path, file: IndexedFile, memo: DigestMemo) -> bool:
    status = path.lstat()
    if (status.st_size, bool(status.st_mode & 0o111)) != (file.size_bytes, file.executable):
        return False
    sha256 = memo.sha256 if status.st_size > _ALWAYS_HASHED_BYTES else sha256_of
    return sha256(path) == file.sha256


def _dump(key: str, files: tuple[IndexedFile, ...]) -> bytes:
    index = {"format": _FORMAT, "key": key, "files": [asdict(file) for file in files]}
    return json.dumps(index, separators=(",", ":")).encode()
