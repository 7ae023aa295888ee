"""Reading a stream that may fall silent for good, or whose reader may be told to stop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from builder.errors import Interrupted

T = TypeVar("T")
_TICK_S = 0.1
_HELD_ITEMS = 16  # of up to 2 MiB each


@dataclass(frozen=True, slots=True)
class _End:
    failure: BaseException | None


class _Reader(Generic[T]):
    """Reads a blocking stream in a thread of its own, a few items ahead."""

    def __init__(self, stream: Iterable[T]) -> None:
        self._stream = stream
        self._items: queue.Queue[T | _End] = queue.Queue(_HELD_ITEMS)
        self._unwanted = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> T | _End:
        """Return the next item, or raise ``queue.Empty`` after a tick."""
        return self._items.get(timeout=_TICK_S)

    def dismiss(self) -> None:
        """Let the thread end at its next item."""
        self._unwanted.set()

    def _read(self) -> None:
        try:
            for item in self._stream:
                if not self._put(item):
                    return
        except BaseException as failure:  # raised again where the items are read
            self._put(_End(failure))
        else:
            self._put(_End(None))

    def _put(self, item: T | _End) -> bool:
        while not self._unwanted.is_set():
            try:
                self._items.put(item, timeout=_TICK_S)
            except queue.Full:
                continue
            return True
        return False


def watch(
    stream: Iterable[T],
    *,
    cancel: threading.Event,
    going_on: Callable[[], bool],
    silence_s: float = 5.0,
) -> Iterator[T]:
    """Yield what ``stream`` gives, and never wait for good.

    After every ``silence_s`` seconds of silence ``going_on`` is asked: it may raise, and False ends
    the iteration. Raises ``Interrupted`` soon after ``cancel`` is set, and what ``stream`` raises.
    """
    reader = _Reader(stream)
    try:
        while not isinstance(item := _await(reader, cancel, going_on, silence_s), _End):
            yield item
        if item.failure:
            raise item.failure
    finally:
        reader.dismiss()


def _await(
    reader: _Reader[T], cancel: threading.Event, going_on: Callable[[], bool], silence_s: float
) -> T | _End:
    silent_s = 0.0
    while not cancel.is_set():
        try:
            return reader.next()
        except queue.Empty:
            silent_s += _TICK_S
        if silent_s >= silence_s:
            silent_s = 0.0
            if not going_on():
                return _End(None)
    raise interrupted()


def interrupted() -> Interrupted:
    """Return the failure for work that the user stopped."""
    return Interrupted("the build was stopped", reason="interrupted")
