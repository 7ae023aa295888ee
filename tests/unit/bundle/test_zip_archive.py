from __future__ import annotations

import hashlib
import os
import time
import zipfile
from pathlib import Path

import pytest

from builder.bundle.zip_archive import pack_zip


def test_the_same_entries_are_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    for zone, stamp, mask in (("UTC", 1e9, 0o022), ("Asia/Tokyo", 1.7e9, 0o077)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        before = os.umask(mask)
        try:
            source = tmp_path / f"source-{zone.replace('/', '-')}"
            source.write_bytes(b"content" * 1000)
            os.utime(source, (stamp, stamp))
            entries: dict[str, Path | bytes] = {"z": b"text", "a/b.so": source}
            if zone != "UTC":
                entries = dict(reversed(entries.items()))
            archive = tmp_path / "archive.zip"
            pack_zip(entries, archive)
        finally:
            os.umask(before)
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1
    monkeypatch.undo()
    time.tzset()


def test_entries_are_sorted_and_only_some_are_stored(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(5000))
    archive = tmp_path / "archive.zip"
    entries: dict[str, Path | bytes] = {"b": b"b" * 5000, "assets/w": weights, "empty": b""}
    pack_zip(entries, archive, stored={"assets/w"})
    with zipfile.ZipFile(archive) as file:
        assert file.testzip() is None
        assert file.namelist() == ["assets/w", "b", "empty"]
        assert file.read("assets/w") == bytes(5000)
        kinds = {info.filename: info.compress_type for info in file.infolist()}
        modes = {info.external_attr >> 16 for info in file.infolist()}
    assert kinds["assets/w"] == zipfile.ZIP_STORED
    assert kinds["b"] == zipfile.ZIP_DEFLATED
    assert modes == {0o100644}
