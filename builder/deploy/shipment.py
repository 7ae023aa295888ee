"""What is sent to a board, and how the board makes objects of it and of what it has."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from builder.deploy.layout import NEW_PREFIX, PART_PREFIX, PARTS_SUFFIX
from builder.deploy.parts import Part, Segment, compare, dump_parts

BLOCK_BYTES = 1 << 16
"""What ``dd`` on the board counts in. Boards' shells may count in 32 bits only, so we divide."""

SMALL_BYTES = 1 << 18
"""Files up to here travel together in one pack; larger ones alone, without a copy on arrival."""

DIVISIBLE_BYTES = 1 << 16
"""Files from here on are worth a list of parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One file of a bundle: POSIX path in it, SHA-256 hex, size, permission bits."""

    path: str
    sha256: str
    size_bytes: int
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePiece:
    """A run of bytes of the bundle's file ``path``."""

    path: str
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesPiece:
    """Bytes that are in no file."""

    content: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.content)


Piece = FilePiece | BytesPiece


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """The next bytes of the pack."""

    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Bytes of an object that the board has."""

    object: str
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """An object that the board is to have: what it is called, hashes to, and is made of.

    ``steps`` is empty where a whole upload is the object as it is.
    """

    name: str
    sha256: str
    mode: int
    size_bytes: int
    steps: tuple[Take | Copy, ...]

    @property
    def made_as(self) -> str:
        """Return the name in the store that it has until it is verified."""
        return (NEW_PREFIX if self.steps else PART_PREFIX) + self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Everything that one deployment sends: single files, and the content of one pack."""

    wholes: tuple[BundleFile, ...]
    pack: tuple[Piece, ...]
    objects: tuple[NewObject, ...]

    @property
    def pack_bytes(self) -> int:
        return sum(piece.size_bytes for piece in self.pack)

    @property
    def sent_bytes(self) -> int:
        return self.pack_bytes + sum(file.size_bytes for file in self.wholes)

    @property
    def room_bytes(self) -> int:
        """Return what the board's disk needs meanwhile: the new objects, and the pack."""
        return self.pack_bytes + sum(new.size_bytes for new in self.objects)


EMPTY = Shipment(wholes=(), pack=(), objects=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """An older object on the board that a new one may resemble, with its parts."""

    object: str
    parts: tuple[Part, ...]


def missing_files(files: Iterable[BundleFile], held: Collection[str]) -> tuple[BundleFile, ...]:
    """Return the files whose content the board does not hold, each content once."""
    by_content = {file.sha256: file for file in files if file.sha256 not in held}
    return tuple(by_content.values())


def ship(
    missing: Iterable[BundleFile],
    parts: Mapping[str, tuple[Part, ...]],
    bases: Mapping[str, Base],
) -> Shipment:
    """Return how the ``missing`` files get to the board.

    ``parts`` and ``bases`` are by SHA-256 of the new file: the first for every divisible file, the
    second where the board holds something that it may resemble.
    """
    wholes: list[BundleFile] = []
    pack: list[Piece] = []
    objects: list[NewObject] = []
    for file in missing:
        segments = _segments(file, parts.get(file.sha256, ()), bases.get(file.sha256))
        if segments is None and file.size_bytes > SMALL_BYTES:
            wholes.append(file)
            objects.append(_object(file, ()))
        else:
            base = bases[file.sha256].object if segments else ""
            pack += _literals(file, segments)
            objects.append(_object(file, tuple(_steps(file, segments, base))))
        if file.sha256 in parts:
            listed = dump_parts(parts[file.sha256])
            pack.append(BytesPiece(content=listed))
            objects.append(_parts_object(file, listed))
    return Shipment(wholes=tuple(wholes), pack=tuple(pack), objects=tuple(objects))


def build_lines(shipment: Shipment, pack_name: str) -> Iterator[str]:
    """Yield what ``templates/device/build.sh`` is told."""
    if shipment.pack:
        yield f"pack {pack_name}"
    for new in shipment.objects:
        if not new.steps:
            yield f"whole {new.made_as}"
            continue
        yield f"file {new.name}"
        for step in new.steps:
            match step:
                case Take():
                    yield "take {} {}".format(*divmod(step.size_bytes, BLOCK_BYTES))
                case Copy():
                    skip = divmod(step.offset, BLOCK_BYTES)
                    run = divmod(step.size_bytes, BLOCK_BYTES)
                    yield "copy {} {} {} {} {}".format(step.object, *skip, *run)
        yield "done"


def release_lines(shipment: Shipment, files: Iterable[BundleFile]) -> Iterator[str]:
    """Yield what ``templates/device/release.sh`` is told."""
    for new in shipment.objects:
        # Read-only, for a release shares the object's bytes: writing to one would change both.
        yield f"store {new.made_as} {new.name} {new.mode & 0o555:o}"
    paths = [(file.path, file.sha256) for file in files]
    for folder in sorted({parent for path, _ in paths for parent in _parents(path)}):
        yield f"folder {folder}"
    for path, sha256 in paths:
        yield f"link {path} {sha256}"
    yield "whole"


def _segments(
    file: BundleFile, parts: tuple[Part, ...], base: Base | None
) -> tuple[Segment, ...] | None:
    """Return the runs of a file that resembles its base; None where nothing is in common."""
    if base is None or not parts:
        return None
    segments = compare(parts, base.parts)
    common = sum(s.size_bytes for s in segments if s.base_offset is not None)
    return segments if common * 8 > file.size_bytes else None


def _literals(file: BundleFile, segments: tuple[Segment, ...] | None) -> Iterator[Piece]:
    if segments is None:
        yield FilePiece(path=file.path, offset=0, size_bytes=file.size_bytes)
        return
    for segment in segments:
        if segment.base_offset is None:
            yield FilePiece(path=file.path, offset=segment.offset, size_bytes=segment.size_bytes)


def _steps(
    file: BundleFile, segments: tuple[Segment, ...] | None, base: str
) -> Iterator[Take | Copy]:
    if segments is None:
        yield Take(size_bytes=file.size_bytes)
        return
    for segment in segments:
        if segment.base_offset is None:
            yield Take(size_bytes=segment.size_bytes)
        else:
            yield Copy(object=base, offset=segment.base_offset, size_bytes=segment.size_bytes)


def _object(file: BundleFile, steps: tuple[Take | Copy, ...]) -> NewObject:
    return NewObject(
        name=file.sha256,
        sha256=file.sha256,
        mode=file.mode,
        size_bytes=file.size_bytes,
        steps=steps,
    )


def _parts_object(file: BundleFile, listed: bytes) -> NewObject:
    return NewObject(
        name=file.sha256 + PARTS_SUFFIX,
        sha256=hashlib.sha256(listed).hexdigest(),
        mode=0o644,
        size_bytes=len(listed),
        steps=(Take(size_bytes=len(listed)),),
    )


def _parents(path: str) -> Iterator[str]:
    folders = path.split("/")[:-1]
    return ("/".join(folders[: depth + 1]) for depth in range(len(folders)))
