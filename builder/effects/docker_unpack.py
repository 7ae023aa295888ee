"""What a container leaves behind is hostile until shown otherwise: plain files and folders only."""

from __future__ import annotations

import errno
import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self

from builder.errors import IntegrityError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 1 << 20
_NAMES_A_DISK_REFUSES = (
    errno.ENAMETOOLONG,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EILSEQ,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackLimits:
    """How much an archive may unfold to: bytes of content, and entries."""

    size_bytes: int = 16 << 30
    entries: int = 100_000


def unpack(stream: Iterable[bytes], into: Path, *, root: str, limits: UnpackLimits) -> None:
    """Write the tar archive ``stream``, all of it below ``root``, to the empty folder ``into``.

    Modes are 0644 or 0755, whatever the archive or the umask say. Raises ``IntegrityError``:
    ``hostile-artifact`` for a link, a device, a name that is absolute, climbs, or comes twice;
    ``artifact-too-large``; ``artifact-damaged``.
    """
    try:
        pieces = io.BufferedReader(_Pieces(stream))
        with tarfile.open(fileobj=pieces, mode="r|", tarinfo=_Member) as archive:
            for member in _bounded(archive, limits):
                _write(archive, member, into, safe_path(member.name, root))
    except (tarfile.TarError, EOFError) as error:
        raise _bad("artifact-damaged", str(error), None) from error


def safe_path(name: str, root: str) -> PurePosixPath:
    """Return ``name`` relative to ``root``. Raises ``IntegrityError`` where it points elsewhere."""
    parts = name.rstrip("/").split("/")
    climbs = any(part in ("", ".", "..") for part in parts)
    if climbs or parts[0] != root or "\\" in name or not name.isprintable():
        raise _bad("hostile-artifact", "its name points outside the artifact", name)
    return PurePosixPath(*parts[1:])


def _bounded(archive: tarfile.TarFile, limits: UnpackLimits) -> Iterator[tarfile.TarInfo]:
    left_bytes, left_entries = limits.size_bytes, limits.entries
    for member in archive:
        left_bytes, left_entries = left_bytes - member.size, left_entries - 1
        if left_bytes < 0 or left_entries < 0:
            raise _bad("artifact-too-large", "it is larger than any bundle", member.name)
        yield member


def _write(
    archive: tarfile.TarFile, member: tarfile.TarInfo, into: Path, path: PurePosixPath
) -> None:
    target = into / path
    try:
        if member.type == tarfile.DIRTYPE:
            _make_folder(target, is_root=not path.parts)
        elif member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and path.parts:
            content = archive.extractfile(member)
            assert content is not None, member.name
            _write_file(target, content, executable=bool(member.mode & 0o100))
        else:
            raise _bad("hostile-artifact", "it is neither a file nor a folder", member.name)
    except OSError as error:
        if error.errno in _NAMES_A_DISK_REFUSES:
            raise _bad("hostile-artifact", error.strerror or str(error), member.name) from error
        raise


def _make_folder(target: Path, *, is_root: bool) -> None:
    if not is_root:
        target.mkdir()
    target.chmod(0o755)


def _write_file(target: Path, content: IO[bytes], *, executable: bool) -> None:
    mode = 0o755 if executable else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, mode), "wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            file.write(chunk)
        os.fchmod(file.fileno(), mode)


def _bad(reason: str, why: str, name: str | None) -> IntegrityError:
    return IntegrityError(
        "what the container left cannot be taken over",
        reason=reason,
        where=None if name is None else ascii(name),
        why=why,
        state="nothing was kept",
    )


class _Member(tarfile.TarInfo):
    """An entry whose broken header is an error: ``tarfile`` takes it for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == buf.count(0) == tarfile.BLOCKSIZE:
                raise  # the real end
            raise tarfile.ReadError(str(error)) from error


class _Pieces(io.RawIOBase):
    """Byte strings of any length, read like a file."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = iter(stream)
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._held and (piece := next(self._stream, None)) is not None:
            self._held = memoryview(piece)
        room = memoryview(buffer)
        size = min(len(room), len(self._held))
        room[:size] = self._held[:size]
        self._held = self._held[size:]
        return size
