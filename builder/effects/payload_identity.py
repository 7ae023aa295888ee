"""Digest the code that performs the steps, and find the versions of the tools it drives.

Both happen on every build, so neither imports anything heavy: about five milliseconds together.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.fingerprint import PayloadIdentity

PAYLOAD_SOURCES = (
    "broken_environment.py",
    "bundle",
    "compiler",
    "beneath.py",
    "package_files.py",
    "errors.py",
    "model",
    "payload",
    "ports.py",
    "steps.py",
    "templating.py",
    "toolchain/__init__.py",
    "toolchain/bionic.py",
    "toolchain/ndk.py",
    "toolchain/zig.py",
    "tuning/judging.py",
    "wire.py",
)
"""What of the package the payload imports, by path; a test holds it to what it does import."""

_NOT_RENDERED_BY_PAYLOAD = "toolchain"  # Dockerfiles count as part of the image toolchain


def payload_identity(package: Path, templates: Path) -> PayloadIdentity:
    """Return the identity of the payload in ``package`` with the templates it renders."""
    rendered = [e.name for e in templates.iterdir() if e.name != _NOT_RENDERED_BY_PAYLOAD]
    parts = (digest(package, PAYLOAD_SOURCES), digest(templates, rendered))
    return PayloadIdentity(sources=hashlib.sha256("".join(parts).encode()).hexdigest())


def digest(root: Path, parts: Iterable[str]) -> str:
    """Return the SHA-256 of the files and folders ``parts`` below ``root``: names and contents."""
    total = hashlib.sha256()
    for part in sorted(parts):
        for path in _files(root / part):
            content = path.read_bytes()
            header = f"{path.relative_to(root).as_posix()}\0{len(content)}\0"
            total.update(header.encode() + content)
    return total.hexdigest()


def installed_versions(names: Iterable[str], search_path: Iterable[str]) -> dict[str, str]:
    """Return the versions of the distributions among ``names`` that are found in ``search_path``.

    Reads folder names (``numpy-2.4.6.dist-info``, PyPA's recorded-projects format): parsing each
    distribution's metadata would cost more than the rest of a no-op rebuild.
    """
    wanted = {name.replace("-", "_").lower(): name for name in names}
    versions: dict[str, str] = {}
    for entry in _dist_info(search_path):
        stem, _, version = entry.removesuffix(".dist-info").partition("-")
        name = wanted.get(stem.lower())
        if name is not None:
            versions.setdefault(name, version)
    return versions


def _files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
    for parent, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(parent, name) for name in sorted(names))


def _dist_info(search_path: Iterable[str]) -> Iterator[str]:
    for folder in search_path:
        try:
            with os.scandir(folder) as entries:
                yield from (entry.name for entry in entries if entry.name.endswith(".dist-info"))
        except OSError:
            continue  # sys.path holds zip files and folders that are gone
