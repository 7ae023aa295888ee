"""A bundle as one ``.tar.gz`` whose bytes depend on nothing but the bundle's.

Names are sorted; owners, times and the disk's permissions are replaced by constants; the gzip
header has no name and no time. The tar is POSIX pax, whose members need no extended header unless a
name is long or not ASCII. The deflate stream is classic zlib's, at level 6, fed in equal pieces.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from builder.bundle.contents import FileFact, list_files, mode_of, read_fact
from builder.bundle.manifest import LARGEST_MANIFEST, MANIFEST, compare_files, load_manifest
from builder.errors import IntegrityError

if TYPE_CHECKING:
    from typing_extensions import Buffer

EPOCH_S = 315_532_800
"""1980-01-01 UTC: GNU tar warns about 1970, and zip cannot say anything older."""

_LEVEL = 6
_BLOCK = 1 << 20
_GZIP_WINDOW = 31  # zlib's way to ask for a gzip header: no name, time 0


def pack(bundle: Path, archive: Path, top: str) -> str:
    """Write the bundle folder as ``archive``, all below the folder ``top``; return its SHA-256 hex.

    Streams: memory does not grow with the weights. Raises ``IntegrityError`` for a symbolic link or
    a special file in the bundle, ``OSError`` as the disk does.
    """
    if top in ("", ".", "..") or "/" in top:
        raise ValueError(f"{top!r} is not one folder name")
    with archive.open("wb") as file:
        sink = _GzipDigest(file)
        with tarfile.open(
            fileobj=sink, mode="w|", bufsize=_BLOCK, format=tarfile.PAX_FORMAT
        ) as tar:
            for path in _members(list_files(bundle)):
                _add(tar, bundle, path, top)
        return sink.finish()


def verify_archive(archive: Path) -> str:
    """Read ``archive`` once, check it against the manifest inside and return its top folder's name.

    Raises ``IntegrityError``: ``archive-corrupt`` where it cannot be read, ``archive-not-normal``
    for a member that ``pack`` would not write (an owner, a time, a link, a path that leads out),
    ``bundle-differs`` as ``verify_bundle`` does. Nothing is unpacked.
    """
    try:
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                top = _check(tar)
            _drain(stream)  # tarfile stops before gzip's checksum
            return top
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise IntegrityError(
            "not a readable bundle archive",
            reason="archive-corrupt",
            where=str(archive),
            why=str(error) or type(error).__name__,
            remedy="copy it again, or build it again",
        ) from error


class _GzipDigest(io.RawIOBase):
    """A file to write to that compresses into another and hashes what it wrote."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._deflate = zlib.compressobj(level=_LEVEL, wbits=_GZIP_WINDOW)
        self._digest = hashlib.sha256()

    def write(self, block: Buffer, /) -> int:
        self._emit(self._deflate.compress(block))
        return memoryview(block).nbytes

    def finish(self) -> str:
        self._emit(self._deflate.flush())
        return self._digest.hexdigest()

    def _emit(self, compressed: bytes) -> None:
        self._digest.update(compressed)
        self._file.write(compressed)


def _members(files: tuple[str, ...]) -> list[str]:
    """Return the files and every folder above them, sorted, the top folder (``.``) first."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    return sorted(folders | set(files), key=lambda path: PurePosixPath(path).parts)


def _add(tar: tarfile.TarFile, bundle: Path, path: str, top: str) -> None:
    member = tarfile.TarInfo(str(PurePosixPath(top, path)))
    member.mtime = EPOCH_S
    if (bundle / path).is_dir():
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(member)
        return
    with (bundle / path).open("rb") as source:
        member.size, member.mode = (bundle / path).stat().st_size, mode_of(path)
        tar.addfile(member, source)


def _check(tar: tarfile.TarFile) -> str:
    tops: set[str] = set()
    found: dict[str, FileFact] = {}
    text = b""
    for member, path in _normal_members(tar, tops):
        stream = cast("BinaryIO", tar.extractfile(member))
        if path == MANIFEST:
            text = stream.read(LARGEST_MANIFEST)
        else:
            found[path] = read_fact(stream, path)
    compare_files(load_manifest(text).files, found, wrong_modes=[])
    return tops.pop()


def _drain(stream: gzip.GzipFile) -> None:
    while block := stream.read(_BLOCK):
        if block.strip(b"\0"):
            raise ValueError("something follows the archive's end")


def _normal_members(tar: tarfile.TarFile, tops: set[str]) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield each file with its path in the bundle, having checked every member to be ``_add``'s."""
    last: tuple[str, ...] = ()
    for member in tar:
        parts = PurePosixPath(member.name).parts
        path = "/".join(parts[1:])
        tops.add(parts[0] if parts else "")
        in_order = last < parts and ".." not in parts and not member.name.startswith("/")
        if not in_order or len(tops) > 1 or not _is_normal(member, path):
            raise _not_normal(member)
        last = parts
        if member.isreg():
            yield member, path


def _is_normal(member: tarfile.TarInfo, path: str) -> bool:
    mode = 0o755 if member.isdir() else mode_of(path)
    owner = (member.uid, member.gid, member.uname, member.gname)
    kind_is_plain = member.type in (tarfile.REGTYPE, tarfile.DIRTYPE)
    return (
        kind_is_plain
        and owner == (0, 0, "", "")
        and member.mtime == EPOCH_S
        and member.mode == mode
    )


def _not_normal(member: tarfile.TarInfo) -> IntegrityError:
    return IntegrityError(
        "an archive member that this program would not write",
        reason="archive-not-normal",
        where=ascii(member.name),
        remedy="build the archive again",
    )
