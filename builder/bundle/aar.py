"""Where everything lies in a bundle for apps: an Android archive (AAR), its check data, its README.

Format: developer.android.com/studio/projects/android-library (AAR), google.github.io/prefab (C++).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.bundle.contents import fact_of, list_files
from builder.bundle.layout import LICENSE_NOTE, copy_licenses, seal
from builder.bundle.manifest import Manifest, Memory
from builder.bundle.zip_archive import Entries, pack_zip
from builder.model.target import ANDROID_ABIS, Target
from builder.model.tensor import Signature
from builder.templating import environment

GLUE = "libmodel_jni.so"
GLUE_SYMBOLS = frozenset(
    f"Java_boardwright_Native_{name}"
    for name in (
        *("count", "create", "describe", "destroy", "lastError", "misalignment", "modelName"),
        *("name", "run", "threads", "weightsAsset", "weightsBytes"),
    )
)
"""The native methods of ``boardwright.Native``: all that the glue exports."""

_NDK_OF_PREFAB = 23  # what a consumer's NDK is compared with; the library has no C++ in it
_CLASSES_MANIFEST = b"Manifest-Version: 1.0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class AbiParts:
    """What one architecture brings. ``weights`` is None where the library embeds them."""

    target: Target
    library: Path
    glue: Path
    weights: Path | None

    @property
    def abi(self) -> str:
        return ANDROID_ABIS[self.target.platform.arch]


@dataclass(frozen=True, slots=True, kw_only=True)
class AarParts:
    """What the earlier steps made. ``classes`` is a folder of class files, ``check`` of a model's
    check data; ``memory`` is that of the largest architecture.
    """

    model_name: str
    target: Target
    signature: Signature
    abis: tuple[AbiParts, ...]
    classes: Path
    check: Path
    memory: Memory
    versions: tuple[tuple[str, str], ...]
    licenses: Mapping[str, Path]

    @property
    def api(self) -> int:
        """The lowest API level that all the libraries run on."""
        return max(parts.target.platform.libc.api or 0 for parts in self.abis)


def weights_asset(weights: Path | None) -> str:
    """Return the name of the asset that holds ``weights``: equal ones share it. Empty for none."""
    if weights is None:
        return ""
    return f"boardwright/{fact_of(weights.parent, weights.name).sha256[:16]}.weights"


def package_name(model_name: str) -> str:
    """Return a name for the manifest's package, which is made of Java identifiers."""
    slug = re.sub(r"[^a-z0-9_]", "_", model_name.lower())
    return f"boardwright.model_{slug}"


def lay_out_aar(parts: AarParts, templates: Path, scratch: Path, bundle: Path) -> Manifest:
    """Fill the missing folder ``bundle`` and return the manifest written into it."""
    bundle.mkdir()
    for path in list_files(parts.check):
        place = bundle / "check" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(parts.check / path, place)
    copy_licenses(parts.licenses, bundle)
    classes = scratch / "classes.jar"
    pack_zip(_class_entries(parts.classes), classes)
    texts = _Texts(parts=parts, templates=templates)
    entries = dict(_entries(parts, texts)) | {"classes.jar": classes}
    stored = [path for path in entries if path.startswith("assets/")]
    pack_zip(entries, bundle / f"{parts.model_name}.aar", stored)
    readme = texts.render("README.md.j2")
    (bundle / "README.md").write_bytes(readme)
    return seal(
        bundle,
        model=parts.model_name,
        target=parts.target.name,
        signature=parts.signature,
        memory=parts.memory,
        versions=dict(parts.versions),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """The textual parts of an AAR, from ``templates/android``."""

    parts: AarParts
    templates: Path

    def plain(self, name: str) -> Path:
        return self.templates / "android" / "aar" / name

    def render(self, name: str, **values: object) -> bytes:
        template = environment(self.templates).get_template(f"android/aar/{name}")
        text = template.render(
            parts=self.parts,
            model=self.parts.model_name,
            signature=self.parts.signature,
            api=self.parts.api,
            package=package_name(self.parts.model_name),
            ndk=_NDK_OF_PREFAB,
            license=LICENSE_NOTE,
            **values,
        )
        return text.encode()


def _class_entries(classes: Path) -> Entries:
    files = {path: classes / path for path in list_files(classes)}
    return {"META-INF/MANIFEST.MF": _CLASSES_MANIFEST, **files}


def _entries(parts: AarParts, texts: _Texts) -> Iterator[tuple[str, Path | bytes]]:
    yield "AndroidManifest.xml", texts.render("AndroidManifest.xml.j2")
    yield "R.txt", b""
    yield "proguard.txt", texts.plain("proguard.txt")
    metadata = "META-INF/com/android/build/gradle/aar-metadata.properties"
    yield metadata, texts.plain("aar-metadata.properties")
    yield "prefab/prefab.json", texts.plain("prefab.json")
    yield "prefab/modules/model/module.json", texts.plain("module.json")
    for abi in parts.abis:
        yield from _abi_entries(abi, texts)


def _abi_entries(abi: AbiParts, texts: _Texts) -> Iterator[tuple[str, Path | bytes]]:
    asset = weights_asset(abi.weights)
    yield f"jni/{abi.abi}/libmodel.so", abi.library
    yield f"jni/{abi.abi}/{GLUE}", abi.glue
    prefab = f"prefab/modules/model/libs/android.{abi.abi}"
    yield f"{prefab}/libmodel.so", abi.library
    yield f"{prefab}/abi.json", texts.render("abi.json.j2", abi=abi.abi)
    yield f"{prefab}/include/model.h", texts.templates / "runtime" / "model.h"
    yield f"{prefab}/include/model_weights.h", texts.render("model_weights.h.j2", asset=asset)
    if abi.weights is not None:
        yield f"assets/{asset}", abi.weights
