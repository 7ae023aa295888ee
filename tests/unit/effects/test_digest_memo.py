from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from builder.effects.digest_memo import RACY_NS, DigestMemo, Stamp, sha256_of

LONG_AGO_NS = 1_000_000_000_000_000_000


class Watched(DigestMemo):
    """A memo that counts the facts it had to be told."""

    def __init__(self, folder: Path, *, now_ns: int = LONG_AGO_NS + RACY_NS) -> None:
        super().__init__(folder, now_ns=lambda: now_ns)
        self.told = 0

    def remember(self, topic: str, path: Path, stamp: Stamp, fact: object) -> None:
        self.told += 1
        super().remember(topic, path, stamp, fact)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"seven..")
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return path


def test_gives_the_digest_of_the_bytes(tmp_path: Path, file: Path) -> None:
    expected = hashlib.sha256(b"seven..").hexdigest()
    assert DigestMemo(tmp_path / "memo").sha256(file) == expected == sha256_of(file)


def test_reads_an_untouched_file_once(tmp_path: Path, file: Path) -> None:
    Watched(tmp_path / "memo").sha256(file)
    again = Watched(tmp_path / "memo")
    again.sha256(file)
    assert again.told == 0


def test_reads_again_what_was_written_in_place_with_its_time_put_back(
    tmp_path: Path, file: Path
) -> None:
    memo = Watched(tmp_path / "memo")
    memo.sha256(file)
    before = file.stat()
    while file.stat().st_ctime_ns == before.st_ctime_ns:  # one tick of the file system's clock
        file.write_bytes(b"other..")
        os.utime(file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert memo.sha256(file) == hashlib.sha256(b"other..").hexdigest()


def test_reads_again_what_was_replaced(tmp_path: Path, file: Path) -> None:
    memo = Watched(tmp_path / "memo")
    memo.sha256(file)
    other = tmp_path / "other"
    other.write_bytes(b"other..")
    os.utime(other, ns=(LONG_AGO_NS, LONG_AGO_NS))
    other.rename(file)
    assert memo.sha256(file) == hashlib.sha256(b"other..").hexdigest()


@pytest.mark.parametrize("age_ns", [RACY_NS - 1, 0, -RACY_NS])
def test_does_not_trust_what_was_only_just_written(tmp_path: Path, file: Path, age_ns: int) -> None:
    Watched(tmp_path / "memo", now_ns=LONG_AGO_NS + age_ns).sha256(file)
    again = Watched(tmp_path / "memo")
    again.sha256(file)
    assert again.told == 1


def test_seal_makes_a_fresh_file_known_where_its_folder_goes(tmp_path: Path) -> None:
    memo = Watched(tmp_path / "memo", now_ns=time.time_ns())
    staged, goal = tmp_path / "staged", tmp_path / "goal"
    staged.mkdir()
    (staged / "file").write_bytes(b"fresh")
    memo.seal(staged / "file", "f" * 64, moves_to=goal / "file")
    staged.rename(goal)
    assert memo.sha256(goal / "file") == "f" * 64


def test_a_write_after_seal_shows(tmp_path: Path, file: Path) -> None:
    memo = DigestMemo(tmp_path / "memo")
    file.write_bytes(b"fresh")
    memo.seal(file, "f" * 64, moves_to=file)
    assert memo.sha256(file) == "f" * 64
    file.write_bytes(b"stale")
    assert memo.sha256(file) == hashlib.sha256(b"stale").hexdigest()


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b'{"stamp": 1}', b"\xff\xfe", b"null"])
def test_a_torn_record_is_no_record(tmp_path: Path, file: Path, torn: bytes) -> None:
    memo = Watched(tmp_path / "memo")
    memo.sha256(file)
    for record in (tmp_path / "memo").glob("*/*"):
        record.write_bytes(torn)
    assert memo.sha256(file) == hashlib.sha256(b"seven..").hexdigest()
    assert memo.told == 2


def test_a_memo_that_cannot_be_written_only_costs_time(tmp_path: Path, file: Path) -> None:
    (tmp_path / "memo").write_text("a file is in the way")
    assert DigestMemo(tmp_path / "memo").sha256(file) == hashlib.sha256(b"seven..").hexdigest()


def test_topics_and_files_are_kept_apart(tmp_path: Path, file: Path) -> None:
    memo, stamp = Watched(tmp_path / "memo"), Stamp.of(file.stat())
    memo.remember("one", file, stamp, ["fact"])
    assert memo.recall("one", file, stamp) == ["fact"]
    assert memo.recall("two", file, stamp) is None
    assert memo.recall("one", file.with_name("other"), stamp) is None


def test_stays_small_however_many_files_there_are(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.effects.digest_memo._SHARD_LIMIT", 2)
    memo, stamp = Watched(tmp_path / "memo"), Stamp.of(file.stat())
    for number in range(700):
        memo.remember("sha256", tmp_path / str(number), stamp, "f" * 64)
    assert all(len(list(shard.iterdir())) <= 2 for shard in (tmp_path / "memo").iterdir())


def test_a_link_is_not_followed(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    with pytest.raises(OSError):
        DigestMemo(tmp_path / "memo").sha256(link)
