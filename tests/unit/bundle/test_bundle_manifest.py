from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.bundle.contents import FileFact
from builder.bundle.layout import BundleParts, lay_out
from builder.bundle.manifest import (
    Manifest,
    Memory,
    dump_manifest,
    load_manifest,
    read_manifest,
    verify_bundle,
)
from builder.errors import IntegrityError
from builder.model.tensor import Signature, TensorSpec


@pytest.fixture
def bundle(tmp_path: Path, parts: BundleParts, templates: Path) -> Path:
    lay_out(parts, templates, tmp_path / "bundle")
    return tmp_path / "bundle"


def manifest_of(name: str) -> Manifest:
    spec = TensorSpec(name=name, file="x", dtype="float32", shape=(1, 2))
    return Manifest(
        model=name,
        target="board",
        signature=Signature(inputs=(spec,), outputs=()),
        memory=Memory(arena_bytes=1, weights_bytes=2),
        versions={"b": "2", "a": "1"},
        license="none",
        files={"bin/run": FileFact(sha256="0" * 64, size_bytes=3, mode="0755")},
    )


@settings(deadline=None)
@given(st.text(st.characters(codec=None)))
def test_a_manifest_survives_its_text_whatever_the_names(name: str) -> None:
    text = dump_manifest(manifest_of(name))
    assert text.isascii()
    if not any(0xD800 <= ord(c) < 0xE000 for c in name):
        assert load_manifest(text) == manifest_of(name)


def test_the_text_is_canonical() -> None:
    text = dump_manifest(manifest_of("m"))
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert json.loads(text)["format"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "manifest-malformed"),
        ("[]", "manifest-malformed"),
        ("\xff", "manifest-malformed"),
        ("[" * 100_000, "manifest-malformed"),
        ('{"format": 1}', "manifest-malformed"),
        ('{"format": 2}', "manifest-format"),
        ("{}", "manifest-format"),
    ],
)
def test_another_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        load_manifest(text.encode("latin-1"))
    assert caught.value.reason == reason


def test_types_are_not_guessed() -> None:
    fields = json.loads(dump_manifest(manifest_of("m")))
    fields["memory"]["arena_bytes"] = "1"
    with pytest.raises(IntegrityError) as caught:
        load_manifest(json.dumps(fields))
    assert caught.value.reason == "manifest-malformed"


def test_a_whole_bundle_passes(bundle: Path) -> None:
    verify_bundle(bundle)


def test_a_bundle_in_use_passes(bundle: Path) -> None:
    cache = bundle / "python/boardwright_model/__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"code")
    verify_bundle(bundle)


def change(bundle: Path) -> None:
    weights = bundle / "share/weights.bin"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.unlink()
    weights.write_bytes(content)


DAMAGE: list[tuple[str, str, Callable[[Path], Any]]] = [
    ("missing", "include/model.h", lambda b: (b / "include/model.h").unlink()),
    ("extra", "lib/libevil.so", lambda b: (b / "lib/libevil.so").write_bytes(b"")),
    ("changed", "share/weights.bin", change),
    ("changed", "bin/run", lambda b: (b / "bin/run").write_bytes(b"runner, longer")),
    ("mode", "bin/run", lambda b: (b / "bin/run").chmod(0o644)),
    ("mode", "README.md", lambda b: (b / "README.md").chmod(0o755)),
]


@pytest.mark.parametrize(("kind", "path", "damage"), DAMAGE)
def test_damage_is_named(bundle: Path, kind: str, path: str, damage: Callable[[Path], Any]) -> None:
    damage(bundle)
    with pytest.raises(IntegrityError) as caught:
        verify_bundle(bundle)
    assert (caught.value.reason, caught.value.where) == ("bundle-differs", path)
    assert caught.value.details[kind] == [path]


@pytest.mark.parametrize("path", ["lib/libmodel.so", "extra"])
def test_a_link_is_no_file(bundle: Path, path: str) -> None:
    (bundle / path).unlink(missing_ok=True)
    (bundle / path).symlink_to("/etc/passwd")
    with pytest.raises(IntegrityError) as caught:
        verify_bundle(bundle)
    assert (caught.value.reason, caught.value.where) == ("bundle-not-plain", path)


def test_a_pipe_is_not_waited_for(bundle: Path) -> None:
    os.mkfifo(bundle / "check/pipe")
    with pytest.raises(IntegrityError) as caught:
        verify_bundle(bundle)
    assert caught.value.reason == "bundle-not-plain"


def test_a_manifest_that_points_outside_opens_nothing(bundle: Path) -> None:
    fields = json.loads((bundle / "manifest.json").read_text())
    fields["files"]["../../secret"] = fields["files"].pop("bin/run")
    (bundle / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(IntegrityError) as caught:
        verify_bundle(bundle)
    assert caught.value.details["missing"] == ["../../secret"]
    assert caught.value.details["extra"] == ["bin/run"]


def test_a_folder_without_a_manifest_is_no_bundle(bundle: Path) -> None:
    (bundle / "manifest.json").unlink()
    for folder in (bundle, bundle / "nothing"):
        with pytest.raises(IntegrityError) as caught:
            read_manifest(folder)
        assert caught.value.reason == "manifest-missing"


def test_a_copy_is_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "copy")
    verify_bundle(tmp_path / "copy")
