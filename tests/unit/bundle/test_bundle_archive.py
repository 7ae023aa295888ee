from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.bundle.archive import EPOCH_S, pack, verify_archive
from builder.bundle.layout import BundleParts, lay_out
from builder.bundle.manifest import verify_bundle
from builder.errors import IntegrityError

TOP = "tiny-test-board"


@pytest.fixture
def bundle(tmp_path: Path, parts: BundleParts, templates: Path) -> Path:
    lay_out(parts, templates, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def members(archive: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(archive) as tar:
        return tar.getmembers()


def test_the_archive_says_nothing_of_where_it_was_made(bundle: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    digest = pack(bundle, archive, TOP)
    assert digest == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert archive.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"  # no flags, time 0
    found = members(archive)
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in found} == {(0, 0, "", "", EPOCH_S)}
    assert {m.name for m in found if m.isfile() and m.mode == 0o755} == {
        f"{TOP}/bin/run",
        f"{TOP}/run.sh",
    }
    assert {m.mode for m in found if m.isdir()} == {0o755}
    assert found[0].name == TOP
    assert [m.name for m in found] == sorted((m.name for m in found), key=lambda n: n.split("/"))


def test_neither_folder_umask_order_nor_times_show(
    tmp_path: Path, parts: BundleParts, templates: Path, umask: Callable[[int], int]
) -> None:
    digests = set()
    for mask in (0o022, 0o077, 0o000):
        umask(mask)
        bundle = tmp_path / f"bundle-{mask}" / "deeper"
        lay_out(parts, templates, bundle)
        os.utime(bundle / "bin/run", (mask, mask))
        (bundle / "README.md").chmod(0o600 | mask)
        digests.add(pack(bundle, tmp_path / f"{mask}.tar.gz", TOP))
    assert len(digests) == 1


def test_the_archive_unpacks_to_the_bundle(bundle: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "a.tar.gz", TOP)
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and later
        tar.extractall(tmp_path / "unpacked")
    verify_bundle(tmp_path / "unpacked" / TOP)
    assert verify_archive(tmp_path / "a.tar.gz") == TOP


def test_long_and_foreign_names_are_kept(bundle: Path, tmp_path: Path) -> None:
    top = "模型-" + "x" * 120
    pack(bundle, tmp_path / "a.tar.gz", top)
    assert verify_archive(tmp_path / "a.tar.gz") == top


@pytest.mark.parametrize("top", ["", ".", "..", "/", "a/b", "/a"])
def test_the_top_is_one_folder(bundle: Path, tmp_path: Path, top: str) -> None:
    with pytest.raises(ValueError, match="folder"):
        pack(bundle, tmp_path / "a.tar.gz", top)


def test_a_link_is_not_packed(bundle: Path, tmp_path: Path) -> None:
    (bundle / "lib/liblink.so").symlink_to("libmodel.so")
    with pytest.raises(IntegrityError) as caught:
        pack(bundle, tmp_path / "a.tar.gz", TOP)
    assert caught.value.reason == "bundle-not-plain"


def repack(
    archive: Path, edit: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]
) -> None:
    """Write the archive anew, each member through ``edit``, which may drop it."""
    with tarfile.open(archive) as tar:
        content = [(m, f.read() if (f := tar.extractfile(m)) else b"") for m in tar]
    with tarfile.open(archive, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for member, data in content:
            if edited := edit(member, data):
                tar.addfile(edited[0], io.BytesIO(edited[1]))


def set_attribute(name: str, value: object) -> Callable[[tarfile.TarInfo, bytes], object]:
    def edit(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name == f"{TOP}/lib/libmodel.so":
            setattr(member, name, value)
        return member, data

    return edit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uid", 1000),
        ("uname", "me"),
        ("mtime", 1),
        ("mode", 0o4755),
        ("name", f"{TOP}/../../evil"),
        ("name", "/etc/evil"),
        ("name", "elsewhere/lib"),
        ("type", tarfile.FIFOTYPE),
    ],
)
def test_a_member_this_program_would_not_write_is_refused(
    bundle: Path, tmp_path: Path, name: str, value: object
) -> None:
    archive = tmp_path / "a.tar.gz"
    pack(bundle, archive, TOP)
    repack(archive, set_attribute(name, value))  # type: ignore[arg-type]
    with pytest.raises(IntegrityError) as caught:
        verify_archive(archive)
    assert caught.value.reason == "archive-not-normal"


def test_changed_and_dropped_files_are_named(bundle: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    pack(bundle, archive, TOP)
    repack(archive, lambda m, d: (m, d.swapcase()) if m.name.endswith("model.so") else (m, d))
    repack(archive, lambda m, d: None if m.name.endswith("model.h") else (m, d))
    with pytest.raises(IntegrityError) as caught:
        verify_archive(archive)
    assert caught.value.reason == "bundle-differs"
    assert caught.value.details["changed"] == ["lib/libmodel.so"]
    assert caught.value.details["missing"] == ["include/model.h"]


def test_what_follows_the_end_is_refused(bundle: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    pack(bundle, archive, TOP)
    with archive.open("ab") as file:
        file.write(gzip.compress(b"more", mtime=0))
    with pytest.raises(IntegrityError) as caught:
        verify_archive(archive)
    assert caught.value.reason == "archive-corrupt"


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"no tar" * 1000, mtime=0)])
def test_another_file_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(IntegrityError):
        verify_archive(tmp_path / "a.tar.gz")


def test_any_damage_is_an_integrity_error(
    bundle: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pack(bundle, tmp_path / "a.tar.gz", TOP)
    plain = gzip.decompress((tmp_path / "a.tar.gz").read_bytes())
    damaged = tmp_path_factory.mktemp("damaged") / "a.tar.gz"

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, len(plain) - 1), st.integers(1, 255), st.booleans())
    def damage(at: int, bits: int, cut: bool) -> None:
        changed = plain[:at] + (b"" if cut else bytes([plain[at] ^ bits]) + plain[at + 1 :])
        damaged.write_bytes(gzip.compress(changed, compresslevel=1))
        try:
            verify_archive(damaged)
        except IntegrityError:
            return
        # What the manifest does not cover is tar's own padding and header fields nobody reads.
        with tarfile.open(damaged) as tar:
            assert [m.name for m in tar] == [m.name for m in members(tmp_path / "a.tar.gz")]

    damage()
