"""Folders that others may change, as ``ls -ldn`` lists them."""

from __future__ import annotations

import pytest

from builder.deploy.exposure import exposed
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
    assert (found and found.split(" ", 1)[1]) == folder


def test_a_probe_tells_of_them_but_on_android() -> None:
    changes = {"uid": "1000", "up": "drwxrwxrwx 2 1000 1000 40 x"}
    assert jetson(**changes).exposed
    assert jetson(**changes, android="30").exposed is None
