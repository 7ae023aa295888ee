"""Bundles that need no compiler: their runner is a shell script that checks its own weights."""

from __future__ import annotations

import random
from pathlib import Path

from builder.boards.bundle import LocalBundle, read_bundle
from builder.bundle.contents import fact_of, list_files, mode_of
from builder.bundle.manifest import MANIFEST, Manifest, Memory, dump_manifest
from builder.deploy.preflight import Needs
from builder.model.tensor import Signature
from tests.nouns import a_pc

RUNNER = """#!/bin/sh
# Passes while its bundle's weights begin with the word it was made with.
here=${0%/bin/run}
read -r word < "$here/share/word" || exit 3
[ "$word" = WORD ] || { echo 'run: other numbers' >&2; exit 1; }
FAULT
exit 0
"""
FAILS = "echo 'run: other numbers' >&2; exit 1"
FAILS_WHEN_CURRENT = f"case $0 in *current*) {FAILS} ;; esac"
SLEEPS = "sleep 1"

TARGET = a_pc(features=())
NEEDS = Needs(target=TARGET, loaders=(), symbols=())


def make_bundle(
    folder: Path, word: str, *, weights: bytes = b"", fault: str = "", extra: int = 0
) -> LocalBundle:
    """Make a bundle for x86-64 whose files hold ``word``, ``weights`` and ``extra`` small files."""
    texts = {
        "bin/run": RUNNER.replace("WORD", word).replace("FAULT", fault).encode(),
        "run.sh": b"#!/bin/sh\n",
        "share/word": f"{word}\n".encode(),
        "check/inputs/a%20b.npy": b"",
        **{f"check/expected/{number}.npy": b"%d" % number * 100 for number in range(extra)},
    }
    if weights:
        texts["share/weights.bin"] = weights
    for path, content in texts.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(mode_of(path))
    return sealed(folder)


def sealed(folder: Path) -> LocalBundle:
    """Make a bundle of the files in ``folder`` by writing its manifest."""
    manifest = Manifest(
        model="toy",
        target=TARGET.name,
        signature=Signature(inputs=(), outputs=()),
        memory=Memory(arena_bytes=0, weights_bytes=0),
        versions={},
        license="none",
        files={path: fact_of(folder, path) for path in list_files(folder) if path != MANIFEST},
    )
    (folder / MANIFEST).write_text(dump_manifest(manifest), encoding="ascii")
    return read_bundle(folder)


def some_weights(size_bytes: int, *, seed: int = 0) -> bytes:
    """Return bytes that no two parts of are alike."""
    return random.Random(seed).randbytes(size_bytes)
