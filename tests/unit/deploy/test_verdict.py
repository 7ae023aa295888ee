"""What a check said after a switch in; what the board runs now out."""

from __future__ import annotations

import pytest

from builder.deploy.verdict import refuse_gone_back
from builder.errors import BoardwrightError, DeviceLost, IntegrityError
from tests.unit.deploy.answers import replies


def failure(said: str) -> BoardwrightError:
    with pytest.raises(BoardwrightError) as caught:
        refuse_gone_back(replies(said), where="pi")
    return caught.value


def test_a_check_that_passed_is_no_failure() -> None:
    refuse_gone_back(replies("check 0 "), where="pi")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("back 00000003-a", "the board runs 00000003-a again"),
        ("back ", "the board runs nothing"),
        ("stuck 00000007-b", "the board could not go back and still runs 00000007-b"),
    ],
)
def test_what_the_board_runs_is_told_as_it_is(said: str, state: str) -> None:
    caught = failure(f"check 1 run: other numbers\n{said}")
    assert isinstance(caught, IntegrityError)
    assert (caught.reason, caught.state) == ("check-failed", state)


@pytest.mark.parametrize("said", ["", "check well", "back 00000003-a"])
def test_a_switch_without_a_check_is_garbled(said: str) -> None:
    assert isinstance(failure(said), DeviceLost)
