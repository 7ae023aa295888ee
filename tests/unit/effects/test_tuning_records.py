from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from builder.effects.tuning_records import keep, read_records
from builder.errors import BuildFailed, UsageError
from tests.nouns import a_record


def test_no_folder_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read_records(tmp_path / "none") == ()
    assert read_records(tmp_path / "file") == ()


def test_records_are_added_by_cpu(tmp_path: Path) -> None:
    folder, locks = tmp_path / "tuning", tmp_path / "locks"
    first, second, other = a_record("01"), a_record("02"), a_record("01", cpu="znver4")
    keep([first], folder, locks)
    keep([second, other], folder, locks)
    assert set(read_records(folder)) == {first, second, other}
    assert sorted(path.name for path in folder.iterdir()) == ["cortex-a57+neon.json", "znver4.json"]


def test_those_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    records = [a_record(f"{number:02}") for number in range(12)]
    threads = [
        threading.Thread(target=keep, args=([record], tmp_path / "tuning", tmp_path / "locks"))
        for record in records
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_records(tmp_path / "tuning")) == set(records)


def test_other_files_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("hello", encoding="ascii")
    assert read_records(tmp_path) == ()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_told(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "x.json")
    with pytest.raises(UsageError) as caught:
        read_records(tmp_path)
    assert (caught.value.reason, caught.value.where) == (
        "records-unreadable",
        str(tmp_path / "x.json"),
    )


def test_a_spoilt_file_is_never_written_over(tmp_path: Path) -> None:
    spoilt = tmp_path / "cortex-a57+neon.json"
    spoilt.write_text("{", encoding="ascii")
    with pytest.raises(UsageError) as caught:
        keep([a_record()], tmp_path, tmp_path / "locks")
    assert caught.value.reason == "records-malformed"
    assert spoilt.read_text(encoding="ascii") == "{"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "tuning").touch()
    with pytest.raises(BuildFailed) as caught:
        keep([a_record()], tmp_path / "tuning", tmp_path / "locks")
    assert caught.value.reason == "records-unwritable"


def test_a_record_file_can_be_read_by_all(tmp_path: Path) -> None:
    keep([a_record()], tmp_path, tmp_path / "locks")
    mode = (tmp_path / "cortex-a57+neon.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o644
