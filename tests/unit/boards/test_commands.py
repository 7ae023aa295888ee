"""Commands that fail by a name of people's, and that end when told to."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

import pytest

from builder.boards.board import Board
from builder.boards.snapshot import observe
from builder.effects.board_failures import endless, timed_out
from builder.errors import DeviceLost, Interrupted
from builder.model.device import Completed

NONCE = "0123456789abcdef"


class Slow:
    """A transport whose commands end with their standard input, or too late."""

    def run(
        self, command: Sequence[str], *, stdin: Iterable[bytes] = (), **options: object
    ) -> Completed:
        for _ in stdin:
            pass
        raise timed_out(shlex.join(command), 5)

    def put(self, source: BinaryIO, path: str, **options: object) -> None: ...

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        return 0


def board() -> Board:
    return Board(
        name="pi", transport=Slow(), root="~/b", nonce=lambda: NONCE, cancel=threading.Event()
    )


def test_a_script_that_is_late_is_named_and_not_shown() -> None:
    with pytest.raises(DeviceLost) as caught:
        board().ask("inventory")
    assert caught.value.where == "pi: inventory"
    assert NONCE not in str(caught.value)
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize("failure", [timed_out, endless])
def test_no_command_is_shown_at_length(failure: Callable[[str, int], DeviceLost]) -> None:
    assert len(str(failure("x" * 10_000, 5))) < 300


def test_a_program_ends_when_the_work_is_to_stop() -> None:
    asked = board()
    threading.Timer(0.05, asked.cancel.set).start()
    with pytest.raises(Interrupted):
        asked.run(("/b/current/bin/run", "--check"), timeout_s=5)


def test_a_measurement_ends_when_it_is_to_stop() -> None:
    cancel = threading.Event()
    threading.Timer(0.05, cancel.set).start()
    with pytest.raises(Interrupted):
        observe(Slow(), ("run", "--bench"), token=NONCE, where="pi", cancel=cancel)
