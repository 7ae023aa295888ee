from __future__ import annotations

import os
from pathlib import Path

from builder.effects.in_use import InUse
from builder.effects.ownership import orphans, own_file, owned_files, owned_folder, sweep


def test_an_owned_folder_is_removed_on_leaving(tmp_path: Path) -> None:
    with owned_folder(tmp_path) as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_was_moved_out_stays(tmp_path: Path) -> None:
    with owned_folder(tmp_path) as folder:
        (folder / "file").touch()
        folder.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "file"]


def test_sweep_leaves_the_living_alone(tmp_path: Path) -> None:
    with owned_folder(tmp_path) as folder:
        sweep(tmp_path)
        assert folder.is_dir()


def test_sweep_removes_what_the_dead_left(tmp_path: Path) -> None:
    owned = own_file(tmp_path, prefix=".boardwright-", suffix=".lock")
    left = owned.path.with_name(owned.path.name.removesuffix(".lock"))
    left.mkdir()
    (left / "half").touch()
    (tmp_path / "theirs").touch()
    os.close(owned.descriptor)  # what the kernel does when the owner dies
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_files_belong_to_the_living_or_the_dead(tmp_path: Path) -> None:
    alive, dead = own_file(tmp_path, prefix="a-"), own_file(tmp_path, prefix="a-")
    os.close(dead.descriptor)
    assert list(owned_files(tmp_path, "a-*")) == [alive.path]
    assert list(orphans(tmp_path, "a-*")) == [dead.path]
    alive.release()
    assert not alive.path.exists()


def test_names_in_use_are_seen_by_whoever_removes(tmp_path: Path) -> None:
    one, other = InUse(tmp_path / "locks"), InUse(tmp_path / "locks")
    one.note("a")
    one.note("a")
    other.note("b")
    with InUse(tmp_path / "locks").removal() as names:
        assert names == {"a", "b"}


def test_names_are_free_again_when_their_user_is_gone(tmp_path: Path) -> None:
    user = InUse(tmp_path / "locks")
    user.note("a")
    del user
    with InUse(tmp_path / "locks").removal() as names:
        assert names == frozenset()
