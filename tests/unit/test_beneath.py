"""What strangers name is opened below its folder, through no link, and plain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.beneath import open_beneath, open_plain, read_plain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    inner = tmp_path / "folder"
    (inner / "sub").mkdir(parents=True)
    (inner / "sub" / "w.bin").write_bytes(b"ours")
    (inner / "link").symlink_to("sub/w.bin")
    (inner / "linked").symlink_to("sub")
    (inner / "out").symlink_to("..")
    os.mkfifo(inner / "pipe")
    return inner


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_plain_file_is_opened(folder: Path) -> None:
    with os.fdopen(open_beneath(folder, "./sub/w.bin"), "rb") as file:
        assert file.read() == b"ours"


@pytest.mark.parametrize(
    "name", ["link", "linked/w.bin", "out/secret", "../secret", "/etc/passwd", "", "pipe", "sub"]
)
def test_nothing_else_is(folder: Path, name: str) -> None:
    before = open_files()
    with pytest.raises(OSError):
        open_beneath(folder, name)
    assert open_files() == before


@pytest.mark.parametrize("name", ["link", "pipe", "sub"])
def test_nor_by_a_whole_path(folder: Path, name: str) -> None:
    with pytest.raises(OSError):
        open_plain(folder / name)


def test_no_more_is_read_than_is_asked_for(folder: Path) -> None:
    assert read_plain(folder / "sub" / "w.bin", 4) == b"ours"
    with pytest.raises(OSError):
        read_plain(folder / "sub" / "w.bin", 3)
    with pytest.raises(OSError):
        read_plain(Path("/dev/zero"), 3)
