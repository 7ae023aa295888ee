from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from builder.bundle.aar import (
    GLUE_SYMBOLS,
    AarParts,
    AbiParts,
    lay_out_aar,
    package_name,
    weights_asset,
)
from builder.bundle.manifest import Memory, read_manifest, verify_bundle
from builder.model.target import Arch, Libc
from builder.model.tensor import Signature, TensorSpec
from builder.package_files import templates_root
from tests.nouns import a_target

ANDROID_NAMESPACE = "{http://schemas.android.com/apk/res/android}"
BIONIC = Libc(family="bionic", floor=None, api=24)


def an_abi(folder: Path, arch: Arch, weights: bytes | None) -> AbiParts:
    place = folder / arch
    place.mkdir(parents=True)
    for name in ("libmodel.so", "libmodel_jni.so"):
        (place / name).write_bytes(f"{arch} {name}".encode())
    if weights is not None:
        (place / "weights.bin").write_bytes(weights)
    return AbiParts(
        target=a_target(arch, arch=arch, libc=BIONIC),
        library=place / "libmodel.so",
        glue=place / "libmodel_jni.so",
        weights=None if weights is None else place / "weights.bin",
    )


def made(tmp_path: Path, *abis: AbiParts) -> Path:
    classes, check = tmp_path / "classes", tmp_path / "check"
    (classes / "boardwright").mkdir(parents=True)
    (classes / "boardwright" / "Model.class").write_bytes(b"\xca\xfe\xba\xbe")
    check.mkdir()
    (check / "tolerance.txt").write_text("y 0 0\n")
    parts = AarParts(
        model_name="tiny",
        target=a_target("android", libc=BIONIC),
        signature=Signature(
            inputs=(TensorSpec(name="x`|<b>", file="x", dtype="float32", shape=(1, 3)),),
            outputs=(TensorSpec(name="y", file="y", dtype="bool", shape=()),),
        ),
        abis=abis,
        classes=classes,
        check=check,
        memory=Memory(arena_bytes=64, weights_bytes=6),
        versions=(("zig", "0"),),
        licenses={"zig": check / "tolerance.txt"},
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    lay_out_aar(parts, templates_root(), scratch, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_an_archive_holds_what_android_and_prefab_look_for(tmp_path: Path) -> None:
    bundle = made(
        tmp_path, an_abi(tmp_path, "aarch64", b"shared"), an_abi(tmp_path, "x86_64", b"other!")
    )
    verify_bundle(bundle)
    assert read_manifest(bundle).target == "android"
    assert (bundle / "licenses" / "zig.txt").is_file()
    with zipfile.ZipFile(bundle / "tiny.aar") as aar:
        names = set(aar.namelist())
        manifest = ElementTree.fromstring(aar.read("AndroidManifest.xml"))
        sdk = manifest.find("uses-sdk")
        assert sdk is not None and sdk.get(f"{ANDROID_NAMESPACE}minSdkVersion") == "24"
        prefab = "prefab/modules/model/libs/android.arm64-v8a"
        abi = json.loads(aar.read(f"{prefab}/abi.json"))
        assert (abi["abi"], abi["api"], abi["static"]) == ("arm64-v8a", 24, False)
        assert json.loads(aar.read("prefab/prefab.json"))["schema_version"] == 2
        json.loads(aar.read("prefab/modules/model/module.json"))
        header = aar.read(f"{prefab}/include/model_weights.h").decode()
        asset = re.search(r'BW_WEIGHTS_ASSET "(.*)"', header)
        assert asset is not None and aar.read(f"assets/{asset[1]}") == b"shared"
        assert aar.getinfo(f"assets/{asset[1]}").compress_type == zipfile.ZIP_STORED
        assert aar.read("jni/x86_64/libmodel.so") == b"x86_64 libmodel.so"
        with aar.open("classes.jar") as jar, zipfile.ZipFile(jar) as classes:
            assert classes.namelist() == ["META-INF/MANIFEST.MF", "boardwright/Model.class"]
    assert {"R.txt", "proguard.txt", f"{prefab}/libmodel.so", "jni/x86_64/libmodel_jni.so"} <= names


def test_abis_with_equal_weights_share_them(tmp_path: Path) -> None:
    abis = [an_abi(tmp_path, arch, b"same") for arch in ("aarch64", "armv7")]
    assert weights_asset(abis[0].weights) == weights_asset(abis[1].weights)
    with zipfile.ZipFile(made(tmp_path, *abis) / "tiny.aar") as aar:
        assert len([name for name in aar.namelist() if name.startswith("assets/")]) == 1


def test_embedded_weights_are_no_asset(tmp_path: Path) -> None:
    with zipfile.ZipFile(made(tmp_path, an_abi(tmp_path, "aarch64", None)) / "tiny.aar") as aar:
        assert not [name for name in aar.namelist() if name.startswith("assets/")]


@pytest.mark.parametrize("name", ["mnist", "Yunet-N.320", "1st", "boardwright"])
def test_any_model_gives_a_package_of_java_identifiers(name: str) -> None:
    assert re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+", package_name(name))


def test_the_glue_exports_what_java_declares_and_c_defines() -> None:
    android = templates_root() / "android"
    java = (android / "java" / "boardwright" / "Native.java").read_text()
    declared = set(re.findall(r"static native \S+ (\w+)\(", java))
    defined = set(re.findall(r"Java_boardwright_Native_(\w+)\(", (android / "jni.c").read_text()))
    assert declared == defined
    assert {f"Java_boardwright_Native_{name}" for name in declared} == GLUE_SYMBOLS
