"""Hold a board's frequency governor while it is measured, and put back what was, come what may."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from builder.boards.scripts import script_text
from builder.errors import BoardwrightError, DeviceLost, DeviceRefused
from builder.ports import Transport

_BEAT_S = 5.0
_PATIENCE_S = 30.0
_LONGEST_S = 86_400.0


@contextmanager
def governed(
    transport: Transport, governor: str | None, *, token: str, sysfs_root: str = ""
) -> Iterator[None]:
    """Keep every core under ``governor`` inside the context; None leaves all as it is.

    A script on the board sets it and restores it as soon as its standard input ends or falls
    silent: also when this process is killed, the link dies or the machine vanishes. Raises
    ``DeviceRefused`` ``governor-refused``.
    """
    if governor is None:
        yield
        return
    holder = _Holder(transport, governor, token, sysfs_root)
    with holder.held():
        yield


class _Holder:
    """The script on the board, its standard input and what it says."""

    def __init__(self, transport: Transport, governor: str, token: str, sysfs_root: str) -> None:
        self._transport = transport
        self._script = script_text("governor")
        self._arguments = ("governor", token, sysfs_root, governor, f"{_PATIENCE_S:g}")
        self._token = token
        self._over = threading.Event()
        self._said: queue.SimpleQueue[str | BoardwrightError] = queue.SimpleQueue()
        self._text = b""

    @contextmanager
    def held(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            self._wait()
            yield
        finally:
            self._over.set()
            thread.join(_PATIENCE_S)

    def _run(self) -> None:
        try:
            self._transport.run(
                ("sh", "-c", self._script, *self._arguments),
                stdin=self._beats(),
                on_stdout=self._listen,
                timeout_s=_LONGEST_S,
            )
        except BoardwrightError as error:
            self._said.put(error)
        self._said.put("ended")

    def _beats(self) -> Iterator[bytes]:
        while not self._over.wait(_BEAT_S):
            yield b"\n"

    def _listen(self, piece: bytes) -> None:
        self._text = (self._text + piece)[-4096:]
        for line in self._text.decode("utf-8", "replace").splitlines():
            if line.startswith(f"={self._token} "):
                self._said.put(line.partition(" ")[2])

    def _wait(self) -> None:
        try:
            said = self._said.get(timeout=_PATIENCE_S)
        except queue.Empty:
            raise DeviceLost("the board did not answer in time", reason="timeout") from None
        if isinstance(said, BoardwrightError):
            raise said
        if said != "held":
            raise _refused(said.removeprefix("refused").strip())


def _refused(said: str) -> DeviceRefused:
    return DeviceRefused(
        "the board does not let its governor be set",
        reason="governor-refused",
        why=f"cannot write {said}" if said.startswith("/") else said or None,
        state="the governors are as they were",
        remedy="log in as root, or give the user write permission to scaling_governor",
    )
