"""A bundle on this machine, as far as sending it goes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from builder.bundle.contents import mode_of
from builder.bundle.elf import MalformedElf, read_elf
from builder.bundle.manifest import LARGEST_MANIFEST, MANIFEST, load_manifest, read_manifest
from builder.deploy.layout import release_id
from builder.deploy.preflight import Needs, SymbolNeed
from builder.deploy.shipment import BundleFile
from builder.errors import IntegrityError, UsageError
from builder.model.target import Target

_PROGRAMS = ("bin/run", "lib/libmodel.so")
_SENDABLE = re.compile(r"[A-Za-z0-9._%+=@-]+(?:/[A-Za-z0-9._%+=@-]+)*")
_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBundle:
    """A bundle's folder with what its manifest says; ``id`` names the release it becomes."""

    folder: Path
    model: str
    target: str
    id: str
    files: tuple[BundleFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def read_bundle(folder: Path) -> LocalBundle:
    """Return the bundle in ``folder``. Raises ``IntegrityError`` as ``read_manifest`` does."""
    manifest = read_manifest(folder)
    text = (folder / MANIFEST).read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    own = BundleFile(path=MANIFEST, sha256=digest, size_bytes=len(text), mode=mode_of(MANIFEST))
    files = tuple(
        BundleFile(path=path, sha256=fact.sha256, size_bytes=fact.size_bytes, mode=mode_of(path))
        for path, fact in manifest.files.items()
    )
    for file in files:
        _check_path(file.path)
    return LocalBundle(
        folder=folder,
        model=manifest.model,
        target=manifest.target,
        id=release_id(manifest.model, digest),
        files=(*files, own),
    )


def read_needs(folder: Path, target: Target) -> Needs:
    """Return what the bundle in ``folder`` needs of a board, read from its ELF files.

    Raises ``UsageError`` ``not-runnable`` for an archive of apps, ``IntegrityError``.
    """
    if target.packs:
        raise not_runnable(str(folder))
    try:
        elves = {path: read_elf(folder / path) for path in _PROGRAMS}
    except (MalformedElf, OSError) as error:
        raise IntegrityError(
            "a program of the bundle cannot be read",
            reason="bundle-differs",
            where=str(folder),
            why=str(error),
            remedy="build it again",
        ) from error
    symbols = (
        SymbolNeed(
            file=path,
            version=tuple(map(int, match[1].split("."))),
            symbol=next((i.symbol for i in elf.imports if i.version == need.version), need.version),
        )
        for path, elf in elves.items()
        for need in elf.version_needs
        if (match := _GLIBC.fullmatch(need.version))
    )
    loaders = dict.fromkeys(elf.interpreter for elf in elves.values() if elf.interpreter)
    return Needs(target=target, loaders=tuple(loaders), symbols=tuple(symbols))


def objects_by_path(manifest_text: bytes) -> dict[str, str]:
    """Return path to SHA-256 of the release whose manifest a board has; empty where it is none."""
    try:
        return {path: fact.sha256 for path, fact in load_manifest(manifest_text).files.items()}
    except IntegrityError:
        return {}


def _check_path(path: str) -> None:
    if not _SENDABLE.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/")):
        raise IntegrityError(
            "a bundle holds no file of that name", reason="manifest-malformed", where=ascii(path)
        )


__all__ = [
    "LARGEST_MANIFEST",
    "LocalBundle",
    "objects_by_path",
    "read_bundle",
    "read_needs",
]


def not_runnable(place: str) -> UsageError:
    """Return the failure for a bundle without a program."""
    return UsageError(
        "the bundle is for apps and has no program to run",
        reason="not-runnable",
        where=place,
        remedy="take the bundle of one ABI: android-arm64, android-armv7 or android-x86_64",
    )
