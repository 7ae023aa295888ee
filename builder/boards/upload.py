"""Bytes to the board's store: whole files and one pack, each under its hash, each resumed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from builder.boards.board import Board
from builder.deploy.layout import PART_PREFIX
from builder.deploy.shipment import FilePiece, Piece, Shipment

_CHUNK_BYTES = 1 << 20
_HASHING_S = 900.0


class _Reader(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file to be sent: the hash of its content, its size, and what it is read from."""

    sha256: str
    size_bytes: int
    folder: Path
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        return PART_PREFIX + self.sha256

    def open(self) -> BinaryIO:
        """Open the content, for reading and seeking forward from its start."""
        return cast(BinaryIO, io.BufferedReader(_Pieces(self.folder, self.pieces), _CHUNK_BYTES))


def uploads_of(shipment: Shipment, folder: Path) -> tuple[Upload, ...]:
    """Return the uploads of a shipment: the pack, where there is one, comes first."""
    wholes = (
        Upload(
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            folder=folder,
            pieces=(FilePiece(path=file.path, offset=0, size_bytes=file.size_bytes),),
        )
        for file in shipment.wholes
    )
    return (*_pack(shipment, folder), *wholes)


def arrived(board: Board, uploads: Iterable[Upload], held: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes of each upload that an earlier try has left on the board, by name.

    What does not begin as the upload does, counts for nothing. A board that cannot hash is
    believed: the whole is verified before it is used anyway.
    """
    begun = [u for u in uploads if 0 < held.get(u.name, 0) <= u.size_bytes]
    if not begun:
        return {}
    replies = board.ask("hash", *(upload.name for upload in begun), timeout_s=_HASHING_S)
    hashes = dict(_pair(value) for value in replies.all("hash"))
    sizes = {upload.name: held[upload.name] for upload in begun}
    if not hashes:
        return sizes
    return {
        upload.name: sizes[upload.name]
        for upload in begun
        if hashes.get(upload.name) == _begins(upload, sizes[upload.name])
    }


def send(
    board: Board,
    root: str,
    uploads: Sequence[Upload],
    there: Mapping[str, int],
    on_sent: Callable[[int], None],
) -> int:
    """Send what is not there yet of every upload; return the number of bytes sent."""
    done = 0
    for upload in uploads:
        offset = there.get(upload.name, 0)
        if offset == upload.size_bytes and offset:
            continue
        with upload.open() as source:
            _skip(source, offset)
            board.go_on()
            board.transport.put(
                source,
                f"{root}/store/{upload.name}",
                offset=offset,
                on_sent=_counting(board, done, on_sent),
            )
        done += upload.size_bytes - offset
    return done


def _counting(board: Board, before: int, on_sent: Callable[[int], None]) -> Callable[[int], None]:
    def count(sent: int) -> None:
        board.go_on()
        on_sent(before + sent)

    return count


def _pack(shipment: Shipment, folder: Path) -> tuple[Upload, ...]:
    if not shipment.pack:
        return ()
    digest = hashlib.sha256()
    for piece in shipment.pack:
        _each(folder, piece, digest.update)
    pack = Upload(
        sha256=digest.hexdigest(),
        size_bytes=shipment.pack_bytes,
        folder=folder,
        pieces=shipment.pack,
    )
    return (pack,)


def _each(folder: Path, piece: Piece, take: Callable[[bytes], None]) -> None:
    with io.BufferedReader(_Pieces(folder, (piece,)), _CHUNK_BYTES) as reader:
        while chunk := reader.read(_CHUNK_BYTES):
            take(chunk)


def _begins(upload: Upload, size_bytes: int) -> str:
    digest = hashlib.sha256()
    with upload.open() as source:
        _through(source, size_bytes, digest.update)
    return digest.hexdigest()


def _skip(source: BinaryIO, offset: int) -> None:
    _through(source, offset, lambda _: None)


def _through(source: _Reader, size_bytes: int, take: Callable[[bytes], None]) -> None:
    while size_bytes and (chunk := source.read(min(_CHUNK_BYTES, size_bytes))):
        take(chunk)
        size_bytes -= len(chunk)


def _pair(value: str) -> tuple[str, str]:
    name, _, digest = value.partition(" ")
    return name, digest


class _Pieces(io.RawIOBase):
    """The content of pieces, one after the other, without ever holding it."""

    def __init__(self, folder: Path, pieces: Sequence[Piece]) -> None:
        self._folder = folder
        self._pieces = iter(pieces)
        self._now: BinaryIO = io.BytesIO()
        self._left = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        while True:
            chunk = self._now.read(min(len(view), self._left))
            if chunk:
                view[: len(chunk)] = chunk
                self._left -= len(chunk)
                return len(chunk)
            if not self._advance():
                return 0

    def close(self) -> None:
        self._now.close()
        super().close()

    def _advance(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._now.close()
        if isinstance(piece, FilePiece):
            self._now = (self._folder / piece.path).open("rb")
            self._now.seek(piece.offset)
        else:
            self._now = io.BytesIO(piece.content)
        self._left = piece.size_bytes
        return True
