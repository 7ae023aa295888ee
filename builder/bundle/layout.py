"""Where everything lies in a bundle.

``templates/bundle`` mirrors the bundle: a ``.j2`` file is rendered into its place, any other is
copied to it. What the build made comes from ``BundleParts``. ``docs/bundle.md`` draws the whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.bundle.contents import fact_of, list_files, mode_of
from builder.bundle.manifest import MANIFEST, Manifest, Memory, dump_manifest
from builder.model.target import Target
from builder.model.tensor import Signature
from builder.templating import environment

LICENSE_NOTE = (
    "The runtime, the runner and the Python package are Apache-2.0 (Boardwright). "
    "Weights and generated kernels derive from the model and stay under the model's own license. "
    "The folder licenses has the texts for all that is linked in."
)
WEIGHTS = "share/weights.bin"
_MIRROR = "bundle"
_TEMPLATE_SUFFIX = ".j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleParts:
    """What the earlier steps made. ``check`` is the folder of that name in a prepared model.

    ``weights`` is None where the library embeds them; ``weights_bytes`` counts them either way.
    ``versions`` are (tool, version) pairs, ``licenses`` texts by whose they are.
    """

    model_name: str
    target: Target
    signature: Signature
    shared_library: Path
    static_library: Path
    runner: Path
    weights: Path | None
    check: Path
    arena_bytes: int
    weights_bytes: int
    versions: tuple[tuple[str, str], ...]
    licenses: Mapping[str, Path]


def lay_out(parts: BundleParts, templates: Path, bundle: Path) -> Manifest:
    """Fill the empty or missing folder ``bundle`` and return the manifest written into it.

    ``templates`` is the root that holds ``bundle/`` and ``runtime/model.h``. Weights are linked,
    not copied, where the disk allows it. Raises ``OSError`` as the disk does.
    """
    _copy_parts(parts, templates, bundle)
    _render_templates(parts, templates, bundle)
    return seal(
        bundle,
        model=parts.model_name,
        target=parts.target.name,
        signature=parts.signature,
        memory=Memory(arena_bytes=parts.arena_bytes, weights_bytes=parts.weights_bytes),
        versions=dict(parts.versions),
    )


def seal(
    bundle: Path,
    *,
    model: str,
    target: str,
    signature: Signature,
    memory: Memory,
    versions: dict[str, str],
) -> Manifest:
    """Give the files of ``bundle`` their modes and write the manifest that lists them all."""
    _normalise_modes(bundle)
    manifest = Manifest(
        model=model,
        target=target,
        signature=signature,
        memory=memory,
        versions=versions,
        license=LICENSE_NOTE,
        files={path: fact_of(bundle, path) for path in list_files(bundle)},
    )
    (bundle / MANIFEST).write_text(dump_manifest(manifest), encoding="ascii", newline="\n")
    (bundle / MANIFEST).chmod(mode_of(MANIFEST))
    return manifest


def archive_top(model_name: str, target_name: str) -> str:
    """Return the name of the one folder at the top of the archive of a bundle."""
    return f"{model_name}-{target_name}"


def copy_licenses(licenses: Mapping[str, Path], bundle: Path) -> None:
    """Put the licence texts of what is linked into ``bundle`` where people look for them."""
    for name, text in licenses.items():
        _copy(text, bundle / "licenses" / f"{name}.txt")


def _copy_parts(parts: BundleParts, templates: Path, bundle: Path) -> None:
    _copy(parts.runner, bundle / "bin/run")
    _copy(parts.shared_library, bundle / "lib/libmodel.so")
    _copy(parts.static_library, bundle / "lib/libmodel.a")
    _copy(templates / "runtime/model.h", bundle / "include/model.h")
    for path in list_files(parts.check):
        _copy(parts.check / path, bundle / "check" / path)
    copy_licenses(parts.licenses, bundle)
    if parts.weights is not None:
        link_or_copy(parts.weights, bundle / WEIGHTS)


def _render_templates(parts: BundleParts, root: Path, bundle: Path) -> None:
    mirror, templates = root / _MIRROR, environment(root)
    for path in list_files(mirror):
        if not path.endswith(_TEMPLATE_SUFFIX):
            _copy(mirror / path, bundle / path)
            continue
        text = templates.get_template(f"{_MIRROR}/{path}").render(
            parts=parts,
            model=parts.model_name,
            target=parts.target,
            signature=parts.signature,
            embedded=parts.weights is None,
            license=LICENSE_NOTE,
        )
        place = _make_room(bundle / path.removesuffix(_TEMPLATE_SUFFIX))
        place.write_text(text, encoding="utf-8", newline="\n")


def _copy(source: Path, place: Path) -> None:
    shutil.copyfile(source, _make_room(place))


def link_or_copy(source: Path, place: Path) -> None:
    """Make one more name for ``source``; across disks or owners, let the kernel copy it."""
    try:
        os.link(source, _make_room(place))
    except OSError:
        shutil.copyfile(source, place)


def _make_room(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _normalise_modes(bundle: Path) -> None:
    for folder in _folders(bundle):
        folder.chmod(0o755)
    for path in list_files(bundle):
        if path != WEIGHTS:  # a link shares its mode with the cache's own file
            (bundle / path).chmod(mode_of(path))


def _folders(bundle: Path) -> Iterator[Path]:
    yield bundle
    yield from (path for path in bundle.rglob("*") if path.is_dir())
