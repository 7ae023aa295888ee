"""``manifest.json``: what a bundle is, and the hash of every file in it.

The text is canonical (sorted keys, ASCII, two-space indent, one newline at the end), so equal
bundles have equal manifests. It lists every file but itself.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.bundle.contents import FileFact, fact_of, list_files, may_execute
from builder.errors import IntegrityError
from builder.model.tensor import Signature

FORMAT = 1
"""Of ``manifest.json``. A reader refuses any other."""

MANIFEST = "manifest.json"
LARGEST_MANIFEST = 16 << 20
"""Bytes. Larger is not read: a manifest has about 150 bytes a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes that one instance needs: its arena, and the weights that all instances share."""

    arena_bytes: int
    weights_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle is. ``versions`` are the tools that shaped it; ``files`` go by POSIX path."""

    model: str
    target: str
    signature: Signature
    memory: Memory
    versions: dict[str, str]
    license: str
    files: dict[str, FileFact]


def dump_manifest(manifest: Manifest) -> str:
    """Return the canonical text of ``manifest.json``."""
    fields = {"format": FORMAT, **dataclasses.asdict(manifest)}
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def load_manifest(text: str | bytes) -> Manifest:
    """Rebuild what ``dump_manifest`` wrote.

    Raises ``IntegrityError``: ``manifest-format`` for one of another format (a newer builder's),
    ``manifest-malformed`` for anything else.
    """
    from pydantic import TypeAdapter, ValidationError  # 60 ms that only readers pay

    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        if (found := fields.pop("format", None)) != FORMAT:
            raise _other_format(found)
        return TypeAdapter(Manifest).validate_json(json.dumps(fields), strict=True)
    except (ValueError, RecursionError, ValidationError) as error:
        raise IntegrityError(
            "not a manifest this program wrote",
            reason="manifest-malformed",
            where=MANIFEST,
            remedy="build the bundle again",
        ) from error


def read_manifest(bundle: Path) -> Manifest:
    """Load the manifest of the bundle in a folder; a missing one is ``manifest-missing``."""
    try:
        with (bundle / MANIFEST).open("rb") as stream:
            return load_manifest(stream.read(LARGEST_MANIFEST))
    except OSError as error:
        raise IntegrityError(
            "no readable manifest.json, so this is no bundle",
            reason="manifest-missing",
            where=str(bundle),
            why=error.strerror,
        ) from error


def verify_bundle(bundle: Path) -> None:
    """Compare every file of a bundle with its manifest.

    Raises ``IntegrityError`` naming the first file that differs; ``details`` has all of them under
    ``missing``, ``extra``, ``changed`` and ``mode``. Of the mode only the owner's execute bit
    counts, since unpacking applies the user's umask.
    """
    manifest = read_manifest(bundle)
    found = {p: fact_of(bundle, p) for p in list_files(bundle) if p != MANIFEST}
    modes = [p for p, f in found.items() if may_execute(bundle, p) != bool(int(f.mode, 8) & 0o100)]
    compare_files(manifest.files, found, wrong_modes=modes)


def compare_files(
    expected: Mapping[str, FileFact], found: Mapping[str, FileFact], *, wrong_modes: list[str]
) -> None:
    """Raise ``IntegrityError`` (``bundle-differs``) unless the same files hold the same bytes."""
    differing = {
        "missing": sorted(expected.keys() - found.keys()),
        "extra": sorted(found.keys() - expected.keys()),
        "changed": sorted(p for p in expected.keys() & found.keys() if expected[p] != found[p]),
        "mode": sorted(wrong_modes),
    }
    for kind, paths in differing.items():
        if paths:
            raise _differs(kind, paths[0], differing)


def _differs(kind: str, path: str, differing: Mapping[str, list[str]]) -> IntegrityError:
    what = {
        "missing": "is in the manifest but not in the bundle",
        "extra": "is in the bundle but not in the manifest",
        "changed": "is not what the manifest says",
        "mode": "has another execute permission than the manifest says",
    }[kind]
    total = sum(len(paths) for paths in differing.values())
    return IntegrityError(
        f"the file {what}" + (f" (the first of {total})" if total > 1 else ""),
        reason="bundle-differs",
        where=path,
        remedy="unpack the archive again, or build the bundle again",
        details=differing,
    )


def _other_format(found: object) -> IntegrityError:
    return IntegrityError(
        f"manifest format {found!r}, but this program reads format {FORMAT}",
        reason="manifest-format",
        where=MANIFEST,
        remedy="use the boardwright that built the bundle, or build it again",
    )
