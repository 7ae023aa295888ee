"""A stream is read to its end, unless it is stopped or nobody is at the other end any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from builder.effects.docker_watch import watch
from builder.errors import Interrupted


class Lost(Exception):
    pass


def silent(until: threading.Event) -> Iterator[int]:
    yield 1
    until.wait(30)


def test_items_come_in_order_and_end() -> None:
    never = threading.Event()
    numbers = iter(range(100))
    assert list(watch(numbers, cancel=never, going_on=lambda: True)) == list(range(100))


def test_what_the_stream_raises_is_raised() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise Lost

    watched = watch(broken(), cancel=threading.Event(), going_on=lambda: True)
    assert next(watched) == 1
    with pytest.raises(Lost):
        next(watched)


def test_silence_is_asked_about() -> None:
    over = threading.Event()

    def lost() -> bool:
        raise Lost

    watched = watch(silent(over), cancel=threading.Event(), going_on=lost, silence_s=0.1)
    assert next(watched) == 1
    with pytest.raises(Lost):
        next(watched)
    over.set()


def test_a_stream_that_missed_its_end_ends() -> None:
    over = threading.Event()
    watched = watch(silent(over), cancel=threading.Event(), going_on=lambda: False, silence_s=0.1)
    assert list(watched) == [1]
    over.set()


def test_cancelling_interrupts_a_silent_stream() -> None:
    over, cancel = threading.Event(), threading.Event()
    watched = watch(silent(over), cancel=cancel, going_on=lambda: True)
    assert next(watched) == 1
    cancel.set()
    with pytest.raises(Interrupted):
        next(watched)
    over.set()
