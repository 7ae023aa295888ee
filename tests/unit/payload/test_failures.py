"""What the payload says of a disk that refuses."""

from __future__ import annotations

import errno
import os
from collections import namedtuple
from pathlib import Path

import pytest

from builder.payload import __main__ as payload

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_that(tmp_path: Path, number: int) -> None:
    found = payload.io_failure(OSError(number, os.strerror(number), "weights.data"), tmp_path)
    assert (found.reason, found.where) == ("disk-full", "weights.data")


def test_numpy_has_no_number_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = OSError("1000 requested and 12 written")
    assert payload.io_failure(told, tmp_path).reason == "io-error"
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10, 10, 0))
    assert payload.io_failure(told, tmp_path).reason == "disk-full"


def test_anything_else_is_not(tmp_path: Path) -> None:
    assert payload.io_failure(PermissionError(errno.EACCES, "no"), tmp_path).reason == "io-error"
