from __future__ import annotations

import ast
import errno
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from builder.bundle.contents import list_files
from builder.bundle.elf_policy import API_SYMBOLS
from builder.bundle.layout import BundleParts, archive_top, lay_out
from builder.bundle.manifest import read_manifest, verify_bundle
from builder.model.tensor import Signature, TensorSpec

LAYOUT = {
    "README.md",
    "bin/run",
    "check/expected/y.npy",
    "check/inputs/x.npy",
    "check/tolerance.txt",
    "examples/c/CMakeLists.txt",
    "examples/c/main.c",
    "include/model.h",
    "lib/cmake/boardwright-model/boardwright-model-config.cmake",
    "lib/libmodel.a",
    "lib/libmodel.so",
    "licenses/zig.txt",
    "manifest.json",
    "python/boardwright_model/__init__.py",
    "python/boardwright_model/_abi.py",
    "python/boardwright_model/_model.py",
    "python/boardwright_model/_tensors.py",
    "python/boardwright_model/py.typed",
    "run.sh",
    "share/weights.bin",
}
HOSTILE = '| x |\n# Title\n```\n<script>[a](http://evil.example)*/";`rm -rf`{{ 7 * 7 }}'


def test_the_layout_is_what_the_documentation_says(
    tmp_path: Path, parts: BundleParts, templates: Path
) -> None:
    manifest = lay_out(parts, templates, tmp_path / "bundle")
    assert set(list_files(tmp_path / "bundle")) == LAYOUT
    assert set(manifest.files) == LAYOUT - {"manifest.json"}
    assert read_manifest(tmp_path / "bundle") == manifest
    verify_bundle(tmp_path / "bundle")


def test_embedded_weights_leave_no_file(
    tmp_path: Path, parts: BundleParts, templates: Path
) -> None:
    lay_out(replace(parts, weights=None), templates, tmp_path / "bundle")
    assert set(list_files(tmp_path / "bundle")) == LAYOUT - {"share/weights.bin"}
    assert "weights.bin" not in (tmp_path / "bundle/README.md").read_text()


def test_weights_are_linked_and_their_mode_is_left_alone(
    tmp_path: Path, parts: BundleParts, templates: Path
) -> None:
    assert parts.weights is not None
    parts.weights.chmod(0o444)
    lay_out(parts, templates, tmp_path / "bundle")
    assert (tmp_path / "bundle/share/weights.bin").samefile(parts.weights)
    assert parts.weights.stat().st_mode & 0o777 == 0o444
    verify_bundle(tmp_path / "bundle")


def test_weights_on_another_disk_are_copied(
    tmp_path: Path, parts: BundleParts, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", refuse)
    lay_out(parts, templates, tmp_path / "bundle")
    assert parts.weights is not None
    assert (tmp_path / "bundle/share/weights.bin").read_bytes() == parts.weights.read_bytes()


def test_byte_code_beside_the_templates_is_not_shipped(
    tmp_path: Path, parts: BundleParts, templates: Path
) -> None:
    mirror = tmp_path / "templates"
    (mirror / "bundle/python/__pycache__").mkdir(parents=True)
    (mirror / "bundle/python/__pycache__/x.pyc").write_bytes(b"")
    (mirror / "runtime").mkdir()
    (mirror / "runtime/model.h").write_bytes((templates / "runtime/model.h").read_bytes())
    manifest = lay_out(parts, mirror, tmp_path / "bundle")
    assert not [path for path in manifest.files if "pycache" in path]


def test_hostile_names_stay_text_in_the_readme(
    tmp_path: Path, parts: BundleParts, templates: Path
) -> None:
    spec = TensorSpec(name=HOSTILE, file="x", dtype="float32", shape=(2,))
    hostile = replace(
        parts, model_name=HOSTILE, signature=Signature(inputs=(spec,), outputs=(spec,))
    )
    plain = lay_out_readme(parts, templates, tmp_path / "plain")
    shown = lay_out_readme(hostile, templates, tmp_path / "hostile")
    assert outline(shown) == outline(plain)
    assert "49" not in shown


def lay_out_readme(parts: BundleParts, templates: Path, bundle: Path) -> str:
    lay_out(parts, templates, bundle)
    return (bundle / "README.md").read_text()


def outline(text: str) -> list[str]:
    """Return the structure a reader of Markdown sees: everything but the words."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    return [
        child.type
        for token in tokens
        for child in (token, *(token.children or ()))
        if child.type not in ("text", "text_special")
    ]


def test_labels_stand_in_the_manifest_and_inert_in_the_readme(
    tmp_path: Path, parts: BundleParts, templates: Path
) -> None:
    labels = ("cat", HOSTILE, *(f"class{number}" for number in range(40)))
    spec = TensorSpec(name="label", file="label", dtype="int64", shape=(1,), labels=labels)
    labelled = replace(parts, signature=replace(parts.signature, outputs=(spec,)))
    text = lay_out_readme(labelled, templates, tmp_path / "bundle")
    assert "42 labels" in text and "cat" in text
    assert "class39" not in text
    assert read_manifest(tmp_path / "bundle").signature.outputs[0].labels == labels
    tame = replace(spec, labels=tuple("t" if one == HOSTILE else one for one in labels))
    plain = replace(parts, signature=replace(parts.signature, outputs=(tame,)))
    assert outline(text) == outline(lay_out_readme(plain, templates, tmp_path / "plain"))


def test_the_readme_describes_each_tensor(
    tmp_path: Path, parts: BundleParts, templates: Path
) -> None:
    readme = lay_out_readme(parts, templates, tmp_path / "bundle")
    assert "| 0 | x | float32 | 1 x 3 | x.npy |" in readme
    assert "| 0 | y | int64 | scalar | y.npy |" in readme


def test_the_archive_has_one_top_folder_a_model_and_target() -> None:
    assert archive_top("yunet", "jetson-nano") == "yunet-jetson-nano"


def test_the_audit_knows_the_whole_interface(templates: Path) -> None:
    header = (templates / "runtime/model.h").read_text()
    assert set(re.findall(r"BW_API[^;]*?\b(bw_\w+)\(", header)) == API_SYMBOLS


@pytest.mark.parametrize("name", ["__init__", "_abi", "_model", "_tensors"])
def test_the_python_package_reads_on_the_oldest_board(templates: Path, name: str) -> None:
    # JetPack 4 has Python 3.6: no walrus, no positional-only parameters, no future annotations.
    source = (templates / f"bundle/python/boardwright_model/{name}.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__ import annotations" not in source
