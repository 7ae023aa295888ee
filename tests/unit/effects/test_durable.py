from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from builder.effects import durable
from builder.errors import BuildFailed


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "cache-unwritable"),
        (errno.EACCES, "cache-unwritable"),
        (errno.EIO, "cache-unwritable"),
    ],
)
def test_what_the_disk_refuses_has_a_reason_and_a_place(number: int, reason: str) -> None:
    with (
        pytest.raises(BuildFailed) as caught,
        durable.refusals(Path("/cache"), unwritable="cache-unwritable", remedy="chmod"),
    ):
        raise OSError(number, os.strerror(number))
    assert (caught.value.reason, caught.value.where) == (reason, "/cache")
    assert caught.value.remedy


def test_write_atomically_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(b"old")
    durable.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomically_keeps_the_old_content_when_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(OSError):
        durable.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("in_kernel", [True, False])
def test_copies_are_equal_and_have_the_mode_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
) -> None:
    if not in_kernel:
        monkeypatch.setattr(os, "copy_file_range", _not_across)
    source, copy = tmp_path / "source", tmp_path / "copy"
    content = os.urandom(300_000)
    source.write_bytes(content)
    umask = os.umask(0o077)
    try:
        durable.copy_synced(source, copy, mode=0o755)
    finally:
        os.umask(umask)
    assert copy.read_bytes() == content
    assert stat.S_IMODE(copy.stat().st_mode) == 0o755


def test_an_empty_file_is_copied(tmp_path: Path) -> None:
    (tmp_path / "source").touch()
    durable.copy_synced(tmp_path / "source", tmp_path / "copy", mode=0o644)
    assert (tmp_path / "copy").read_bytes() == b""


def test_remove_tree_takes_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    durable.remove_tree(tree)
    (tmp_path / "link").symlink_to(outside)
    durable.remove_tree(tmp_path / "link")
    durable.remove_tree(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").exists()


def test_remove_tree_opens_what_is_closed(tmp_path: Path) -> None:
    closed = tmp_path / "tree" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").touch(0o444)
    closed.chmod(0o500)
    durable.remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def _disk_full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(descriptor))


def _not_across(*args: object) -> int:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(args))
