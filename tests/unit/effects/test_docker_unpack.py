"""What comes out is hostile until shown otherwise."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.effects.docker_unpack import UnpackLimits, safe_path, unpack
from builder.errors import IntegrityError

LIMITS = UnpackLimits(size_bytes=1000, entries=10)


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def archive(*members: tarfile.TarInfo) -> bytes:
    """Return a tar of ``members``; a file's content is as many ``x`` as its size says."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return written.getvalue()


def pieces(content: bytes, size: int = 700) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def reason_of(tmp_path: Path, *members: tarfile.TarInfo) -> str:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(IntegrityError) as caught:
        unpack(pieces(archive(*members)), into, root="output", limits=LIMITS)
    return caught.value.reason


ROOT = member("output", tarfile.DIRTYPE, mode=0o777)


def test_files_and_folders_come_with_modes_of_ours(tmp_path: Path) -> None:
    deep = member("output/bin", tarfile.DIRTYPE, mode=0o2700)
    run = member("output/bin/run", size=5, mode=0o6777, uid=0)
    text = member("output/text", size=900, mode=0o600)
    old = os.umask(0o077)
    try:
        unpack(pieces(archive(ROOT, deep, run, text)), tmp_path, root="output", limits=LIMITS)
    finally:
        os.umask(old)
    modes = {p.name: p.stat().st_mode & 0o7777 for p in tmp_path.rglob("*")}
    assert modes == {"bin": 0o755, "run": 0o755, "text": 0o644}
    assert (tmp_path / "bin" / "run").read_bytes() == b"xxxxx"


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.CONTTYPE,
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    hostile = member("output/x", kind, linkname="/etc/passwd")
    assert reason_of(tmp_path, ROOT, hostile) == "hostile-artifact"


def test_a_folder_that_became_a_link_is_refused(tmp_path: Path) -> None:
    hostile = member("output", tarfile.SYMTYPE, linkname="/etc")
    assert reason_of(tmp_path, hostile) == "hostile-artifact"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "output/../../x",
        "../x",
        "other/x",
        "output/./x",
        "output//x",
        "output\\..\\x",
        "output/a\nb",
        "output/\x1b[2J",
        "outputx",
    ],
)
def test_names_that_point_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    assert reason_of(tmp_path, ROOT, member(name, size=1)) == "hostile-artifact"


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    twice = (member("output/x", size=1), member("output/x", size=1))
    assert reason_of(tmp_path, ROOT, *twice) == "hostile-artifact"


def test_a_file_as_a_folder_is_refused(tmp_path: Path) -> None:
    pair = (member("output/x", size=1), member("output/x/y", size=1))
    assert reason_of(tmp_path, ROOT, *pair) == "hostile-artifact"


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    pair = (member("output/x", size=600), member("output/y", size=600))
    assert reason_of(tmp_path, ROOT, *pair) == "artifact-too-large"


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    crowd = (member(f"output/{n}") for n in range(11))
    assert reason_of(tmp_path, ROOT, *crowd) == "artifact-too-large"


@pytest.mark.parametrize("kept", [100, 600, 1100])
def test_a_cut_archive_is_damaged(tmp_path: Path, kept: int) -> None:
    content = archive(ROOT, member("output/x", size=900))[:kept]
    with pytest.raises(IntegrityError) as caught:
        unpack(pieces(content), tmp_path, root="output", limits=LIMITS)
    assert caught.value.reason == "artifact-damaged"


@given(st.text())
def test_a_safe_path_stays_below_its_root(name: str) -> None:
    try:
        path = safe_path(f"output/{name}", "output")
    except IntegrityError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
