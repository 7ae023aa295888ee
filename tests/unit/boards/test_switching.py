from __future__ import annotations

import pytest

from builder.boards.switching import leaving
from builder.deploy.replies import lock_lost
from builder.errors import BoardwrightError, DeviceLost


def left(failure: BoardwrightError, *, surely: bool = False) -> str | None:
    with pytest.raises(BoardwrightError) as caught, leaving("it runs b", surely=surely):
        raise failure
    return caught.value.state


def test_a_failure_says_what_it_leaves() -> None:
    assert left(DeviceLost("lost", reason="link-lost")) == "it runs b"
    assert left(lock_lost("pi")) == "what the board runs has not changed"
    assert left(lock_lost("pi"), surely=True) == "it runs b"
