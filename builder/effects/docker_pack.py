"""A tar archive as a stream of bytes, made from files too large to hold in memory."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from builder.beneath import open_plain
from builder.errors import BuildFailed
from builder.model.source import Source

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder to make. ``owner`` is the user id it belongs to: root's are read-only to others."""

    path: str
    owner: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A small file, written here."""

    path: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A file of this machine under another name; it is read when its turn comes."""

    path: str
    file: Path


Entry = Folder | Text | Copy


def pack(entries: Iterator[Entry]) -> Iterator[bytes]:
    """Yield the archive of ``entries`` (POSIX.1-2001 pax), in pieces of at most 1 MiB.

    Times are zero and modes 0644 and 0755, whatever the files have here. Raises ``BuildFailed``
    ``source-changed`` where a file goes away or changes its size while it is read.
    """
    for entry in entries:
        match entry:
            case Folder():
                yield _header(entry.path, tarfile.DIRTYPE, 0o755, owner=entry.owner)
            case Text():
                content = entry.text.encode()
                yield _header(entry.path, tarfile.REGTYPE, 0o644, size=len(content))
                yield content + _padding(len(content))
            case Copy():
                yield from _copy(entry)
    yield bytes(2 * tarfile.BLOCKSIZE)


def folder_entries(root: Path, name: str) -> Iterator[Entry]:
    """Yield the folder ``root`` and every regular file below it, under ``name``.

    Python's bytecode is left out: it may belong to another interpreter.
    """
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(folder for folder in folders if folder != "__pycache__")
        below = Path(parent).relative_to(root)
        yield Folder(path=f"{name}/{below.as_posix()}" if below.parts else name)
        for file in sorted(files):
            yield Copy(path=f"{name}/{(below / file).as_posix()}", file=Path(parent, file))


def source_entries(source: Source, name: str) -> Iterator[Entry]:
    """Yield the files of ``source``, and no other file of its folder, under ``name``."""
    yield Folder(path=name)
    yield from (
        Copy(path=f"{name}/{file.path}", file=source.root / file.path) for file in source.files
    )


def _copy(entry: Copy) -> Iterator[bytes]:
    try:
        with os.fdopen(open_plain(entry.file), "rb") as stream:
            status = os.fstat(stream.fileno())
            mode = 0o755 if status.st_mode & 0o100 else 0o644
            yield _header(entry.path, tarfile.REGTYPE, mode, size=status.st_size)
            yield from _exactly(stream, status.st_size, entry.file)
            yield _padding(status.st_size)
    except OSError as error:
        raise _changed(entry.file, error.strerror or str(error)) from error


def _exactly(stream: BinaryIO, size: int, file: Path) -> Iterator[bytes]:
    left = size
    while left:
        chunk = stream.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise _changed(file, "it became shorter while it was read")
        left -= len(chunk)
        yield chunk


def _changed(file: Path, why: str) -> BuildFailed:
    return BuildFailed(
        "a file changed or went away during the build",
        reason="source-changed",
        where=str(file),
        why=why,
        remedy="run the build again",
    )


def _header(path: str, kind: bytes, mode: int, *, size: int = 0, owner: int = 0) -> bytes:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.size = kind, mode, size
    member.uid = member.gid = owner
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
