"""A board's complaints become reasons, and its words one harmless line."""

from __future__ import annotations

import errno

import pytest

from builder.effects.board_failures import reason_by_errno, reason_by_words, shown


@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        (b"dd: writing 'x': No space left on device", "no-space"),
        (b"sh: can't create /x: Read-only file system", "read-only"),
        (b"sh: 1: cannot create /x/y: Directory nonexistent", "no-folder"),
        (b"sh: can't create /x/y: nonexistent directory", "no-folder"),
        (b"cat: /x: Permission denied", "no-permission"),
        (b"/x: Text file busy\n", "file-busy"),
        (b"\xff\xfe gibberish", "refused"),
        (b"", "refused"),
    ],
)
def test_words_are_known(complaint: bytes, reason: str) -> None:
    assert reason_by_words(complaint) == reason


def test_numbers_are_known() -> None:
    assert reason_by_errno(errno.EDQUOT) == "no-space"
    assert reason_by_errno(errno.EIO) == "refused"
    assert reason_by_errno(None) == "refused"


def test_words_are_shown_on_one_short_line() -> None:
    assert shown("  two\nlines\x1b[31m\x07 ") == "two\\nlines\\x1b[31m\\x07"
    assert shown(" \n") is None
    assert len(shown("x" * 1000) or "") == 200
