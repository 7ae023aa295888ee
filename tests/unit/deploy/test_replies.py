from __future__ import annotations

import pytest

from builder.deploy.replies import LONGEST_VALUE, parse_replies
from builder.errors import BoardwrightError, DeviceBusy, DeviceLost, DeviceRefused


def failure(output: bytes) -> BoardwrightError:
    with pytest.raises(BoardwrightError) as caught:
        parse_replies(output, "n1", where="pi")
    return caught.value


def test_lines_of_this_call_count_and_no_others() -> None:
    output = b"Welcome to pi!\nn0 key stale\nn1 key one two\nkey n1 x\nn1 key three\r\nn1 end\n"
    answer = parse_replies(output, "n1", where="pi")
    assert answer.all("key") == ("one two", "three")
    assert answer.first("key") == "one two"
    assert answer.first("other") is None


def test_values_are_escaped_and_bounded() -> None:
    output = b"n1 a \x1b[2J\xff\xe2\x80\xae\nn1 b " + b"x" * 99999 + b"\nn1 end\n"
    answer = parse_replies(output, "n1", where="pi")
    for value in (answer.first("a"), answer.first("b")):
        assert value
        assert value.isascii()
        assert value.isprintable()
        assert len(value) <= LONGEST_VALUE


@pytest.mark.parametrize("output", [b"", b"n1 a b\n", b"sh: not found\n", b"n1 end extra\nn1 a\n"])
def test_an_answer_without_its_end_is_none(output: bytes) -> None:
    error = failure(output)
    assert isinstance(error, DeviceLost)
    assert error.reason == "garbled-output"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("planted-link store", "planted-link"),
        ("foreign-folder /x", "foreign-folder"),
        ("failed mkdir: cannot create 'x': No space left on device", "no-space"),
        ("failed mkdir: x: Read-only file system", "read-only"),
        ("failed ln: x: Permission denied", "no-permission"),
        ("failed mv: what", "failed"),
        ("anything-else", "failed"),
    ],
)
def test_refusals(said: str, reason: str) -> None:
    error = failure(f"n1 refused {said}\nn1 end\n".encode())
    assert isinstance(error, DeviceRefused)
    assert error.reason == reason
    assert error.where == "pi"


def test_a_lost_lock_is_somebody_elses() -> None:
    error = failure(b"n1 refused lock-lost ticket 00000004\nn1 end\n")
    assert isinstance(error, DeviceBusy)
    assert error.reason == "lock-lost"
