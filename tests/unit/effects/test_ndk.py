from __future__ import annotations

from pathlib import Path

import pytest

from builder.effects.ndk import find_ndk
from builder.errors import UsageError
from builder.model.toolchain import Ndk
from builder.toolchain.ndk import clang


def an_ndk(root: Path, revision: str) -> Path:
    text = f"Pkg.Desc = Android NDK\nPkg.Revision = {revision}\n"
    (root / "source.properties").write_text(text)
    program = clang(Ndk(revision=revision, root=root))
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    return root


@pytest.mark.parametrize("unnamed", [None, ""])
def test_without_the_variable_there_is_no_ndk(unnamed: str | None) -> None:
    assert find_ndk(unnamed) is None


@pytest.mark.parametrize("revision", ["23.0.7599858", "27.2.12479018", "28.0.12433566-beta1"])
def test_an_ndk_is_its_revision(tmp_path: Path, revision: str) -> None:
    found = find_ndk(str(an_ndk(tmp_path, revision)))
    assert found is not None
    assert (found.revision, found.root) == (revision, tmp_path)
    assert found == Ndk(revision=revision, root=Path("/elsewhere"))  # where it lies is no identity


def test_an_old_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_ndk(str(an_ndk(tmp_path, "21.4.7075529")))
    assert (caught.value.reason, caught.value.where) == ("ndk-too-old", str(tmp_path))


@pytest.mark.parametrize("damage", ["no folder", "no revision", "no clang"])
def test_another_folder_is_refused(tmp_path: Path, damage: str) -> None:
    root = tmp_path / "ndk"
    if damage != "no folder":
        root.mkdir()
        an_ndk(root, "26.1.10909125")
    if damage == "no revision":
        (root / "source.properties").write_bytes(b"\xff\n")
    if damage == "no clang":
        clang(Ndk(revision="26.1", root=root)).unlink()
    with pytest.raises(UsageError) as caught:
        find_ndk(str(root))
    assert caught.value.reason == "ndk-not-found"
