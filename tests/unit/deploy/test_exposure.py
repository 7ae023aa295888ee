"""Folders that others may change, as ``ls -ldn`` lists them."""

from __future__ import annotations

import pytest

from builder.deploy.exposure import Exposure, exposed
from tests.unit.deploy.answers import jetson

OURS = "drwxr-xr-x 2 1000 1000 4096 Nov 30 20:45 /home/nano/a b"


@pytest.mark.parametrize(
    ("listed", "folder"),
    [
        ([OURS, "drwxr-xr-x 3 0 0 4096 2026-11-30 20:45 /home/nano"], None),
        (["drwxrwxrwx 2 1000 1000 40 x"], "/home/nano/a"),
        (["drwxrwxr-x 2 1000 50 40 x"], "/home/nano/a"),
        (["drwxrwxr-x 2 1000 1000 40 x", "drwxrwxr-x 2 0 0 40 x"], None),
        ([OURS, "drwxrwxrwt 9 0 0 40 x"], None),
        ([OURS, OURS, "drwxrwxrwx. 9 0 0 40 x"], "/home"),
        ([OURS, "drwxr-xr-x+ 9 33 33 40 x"], "/home/nano"),
        (["nonsense"], None),
        ([], None),
    ],
)
def test_the_first_that_others_may_change(listed: list[str], folder: str | None) -> None:
    found = exposed("/home/nano/a", "1000", listed)
    assert (found and found.folder) == folder


def test_an_owner_is_told_from_a_mode() -> None:
    by_mode = exposed("/a", "1000", ["drwxrwx--- 2 1000 50 40 x"])
    assert by_mode == Exposure(folder="/a", mode="drwxrwx---", owner=None)
    by_owner = exposed("/a", "1000", ["drwxrwxrwx 2 33 50 40 x"])
    assert by_owner == Exposure(folder="/a", mode="drwxrwxrwx", owner="33")


def test_a_probe_tells_of_them_but_on_android() -> None:
    changes = {"uid": "1000", "up": "drwxrwxrwx 2 1000 1000 40 x"}
    assert jetson(**changes).exposed
    assert jetson(**changes, android="30").exposed is None
