"""A bundle again, with check data that it passes: the first ones make its results jump."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from builder.bundle import archive, layout
from builder.bundle.manifest import MANIFEST, read_manifest
from builder.model.tensor import Signature
from builder.payload.comparison import count_wrong

_MANY = 8
"""Of an output's elements, one in so many that jump here is many: others may jump elsewhere."""


def reissue(assembled: Path, check: Path, output: Path, *, computed: Path | None) -> Path:
    """Write the artifact of ``Assemble`` with the check data ``check`` into ``output``.

    Where ``computed`` is given, as many elements may differ as do there and as may do on another
    board: half of an output, or all of it. Returns the folder of the bundle.
    """
    bundle = output / "bundle"
    shutil.copytree(assembled / "bundle", bundle, copy_function=_copied)
    manifest = read_manifest(bundle)
    (bundle / MANIFEST).unlink()
    shutil.rmtree(bundle / "check")
    shutil.copytree(check, bundle / "check", copy_function=shutil.copyfile)
    if computed is not None:
        _relax(bundle / "check", check, computed, manifest.signature)
    layout.seal(
        bundle,
        model=manifest.model,
        target=manifest.target,
        signature=manifest.signature,
        memory=manifest.memory,
        versions=manifest.versions,
    )
    packed = output / "bundle.tar.gz"
    digest = archive.pack(bundle, packed, layout.archive_top(manifest.model, manifest.target))
    assembly = json.loads((assembled / "assembly.json").read_text(encoding="utf-8"))
    assembly["sha256"] = digest
    assembly["sizes"]["archive"] = packed.stat().st_size
    text = json.dumps(assembly, indent=1) + "\n"
    (output / "assembly.json").write_text(text, encoding="utf-8")
    return bundle


def _copied(source: str, place: str) -> None:
    if source.endswith(layout.WEIGHTS):
        layout.link_or_copy(Path(source), Path(place))
    else:
        shutil.copyfile(source, place)


def _relax(bundle_check: Path, check: Path, computed: Path, signature: Signature) -> None:
    """Add to each line of the tolerances how many elements may differ."""
    counts = count_wrong(signature, computed, check)
    rows = (check / "tolerance.txt").read_text(encoding="utf-8").splitlines()
    lines = []
    for row in rows:
        wrong, elements = counts[row.split()[0]]
        room = 0 if wrong == 0 else elements // 2 if wrong * _MANY <= elements else elements
        lines.append(f"{row} {room}\n" if room else f"{row}\n")
    (bundle_check / "tolerance.txt").write_text("".join(lines))
