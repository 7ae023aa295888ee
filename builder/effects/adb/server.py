"""Asking the adb server: which devices there are, and a stream to a service on one of them.

Protocol: SERVICES.TXT and OVERVIEW.TXT of AOSP's packages/modules/adb. A request is its length in
four hexadecimal digits and its text; the answer is OKAY, or FAIL and a reason framed alike.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from builder.effects.adb.settings import AdbSettings, Address
from builder.effects.board_failures import link_lost, shown
from builder.errors import BoardwrightError, DeviceLost, DeviceRefused, UsageError

ANSWER_S = 12.0
"""How long a device has to answer."""
_QUEUE_S = 0.02
_LOOK_S, _POLL_S = 3.0, 0.1
_START_S = 30.0
_LONGEST_ANSWER = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A device that the server knows. ``state`` is ``device`` when it can be used."""

    serial: str
    state: str


def attached(settings: AdbSettings) -> tuple[Attached, ...]:
    """Return the devices the server knows; none where none runs. Raises ``DeviceLost``."""
    try:
        end = _connect(settings)
    except OSError:
        return ()
    with end:
        _request(end, "host:devices", "adb")
        listed = _framed(end).decode("utf-8", "replace")
    rows = (line.split("\t") for line in listed.splitlines())
    return tuple(Attached(serial=row[0], state=row[1]) for row in rows if len(row) == 2)


@contextmanager
def service(
    settings: AdbSettings, serial: str, request: str, *, answer_s: float = ANSWER_S
) -> Iterator[socket.socket]:
    """Hold a stream to a service of a device, which has ``answer_s`` to answer.

    The server must run.

    Raises ``DeviceLost`` (``no-device``, ``device-offline``, ``link-lost``, ``no-adb-server``) or
    ``DeviceRefused`` (``unauthorized``).
    """
    with _reconnect(settings) as end:
        end.settimeout(answer_s)
        _request(end, f"host:transport:{serial}", serial)
        _request(end, request, serial)
        yield end


def require(settings: AdbSettings, serial: str) -> None:
    """Start a server where none runs, and see that it has the device, ready for use.

    Raises ``UsageError`` ``no-adb``, and as ``service`` does.
    """
    # A server that has just been started has not looked at every port yet.
    deadline_s = time.monotonic() + (_LOOK_S if _started_one(settings) else 0.0)
    while True:
        known = attached(settings)
        state = next((one.state for one in known if one.serial == serial), None)
        if state is not None or time.monotonic() >= deadline_s:
            break
        time.sleep(_POLL_S)
    if state is None:
        raise _no_device(serial, known)
    if state != "device":
        raise _in_state(serial, state)


def receive(end: socket.socket, size_bytes: int, where: str) -> bytes:
    """Return exactly that many bytes. Raises ``DeviceLost`` ``link-lost`` for fewer."""
    content = b""
    while len(content) < size_bytes:
        try:
            piece = end.recv(size_bytes - len(content))
        except OSError as error:
            raise link_lost(where, error.strerror or "no answer") from error
        if not piece:
            raise link_lost(where, "the adb server closed the stream")
        content += piece
    return content


def _connect(settings: AdbSettings) -> socket.socket:
    address = settings.address
    end = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    try:
        end.settimeout(ANSWER_S)
        _connect_to(end, address)
    except BaseException:
        end.close()
        raise
    return end


def _connect_to(end: socket.socket, address: Address) -> None:
    deadline_s = time.monotonic() + ANSWER_S
    while True:
        try:
            return end.connect(address)
        except BlockingIOError:  # a local socket whose queue is full says so instead of waiting
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(_QUEUE_S)


def _reconnect(settings: AdbSettings) -> socket.socket:
    try:
        return _connect(settings)
    except OSError as error:
        raise DeviceLost(
            "no adb server answers",
            reason="no-adb-server",
            where=_shown_address(settings),
            why=error.strerror,
            remedy="start one: adb start-server",
        ) from error


def _started_one(settings: AdbSettings) -> bool:
    """Start a server unless one answers; return whether it had to be."""
    try:
        _connect(settings).close()
        return False
    except OSError:
        _start_server(settings)
        _reconnect(settings).close()
        return True


def _start_server(settings: AdbSettings) -> None:
    if settings.program is None:
        raise UsageError(
            "adb is not installed",
            reason="no-adb",
            why="devices named adb:SERIAL are reached through it",
            remedy="apt-get install adb, or put Android's platform-tools on PATH",
        )
    with suppress(subprocess.TimeoutExpired):  # the connection that follows tells the outcome
        subprocess.run(
            (settings.program, "start-server"),
            env={**os.environ, **settings.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_START_S,
            check=False,
        )


def _request(end: socket.socket, text: str, where: str) -> None:
    encoded = text.encode("utf-8", "surrogateescape")
    try:
        end.sendall(f"{len(encoded):04x}".encode() + encoded)
    except OSError as error:
        raise link_lost(where, error.strerror) from error
    if (verdict := receive(end, 4, where)) == b"OKAY":
        return
    if verdict != b"FAIL":
        raise link_lost(where, "what answers is no adb server")
    raise _failure(where, _framed(end).decode("utf-8", "replace"))


def _framed(end: socket.socket) -> bytes:
    digits = receive(end, 4, "adb")
    try:
        size_bytes = int(digits, 16)
    except ValueError:
        raise link_lost("adb", "what answers is no adb server") from None
    return receive(end, min(size_bytes, _LONGEST_ANSWER), "adb")


def _failure(serial: str, said: str) -> BoardwrightError:
    if "not found" in said:
        return _no_device(serial, ())
    for state in ("unauthorized", "offline"):
        if state in said:
            return _in_state(serial, state)
    return link_lost(serial, said)


def _no_device(serial: str, known: tuple[Attached, ...]) -> DeviceLost:
    others = ", ".join(f"adb:{one.serial}" for one in known)
    return DeviceLost(
        f"adb knows no device {serial}",
        reason="no-device",
        where=f"adb:{serial}",
        why=f"attached: {shown(others)}" if others else "none is attached",
        remedy="plug it in and allow USB debugging (adb devices), or adb connect HOST:PORT",
    )


def _in_state(serial: str, state: str) -> BoardwrightError:
    if state in ("unauthorized", "no permissions"):
        return DeviceRefused(
            "the device does not trust this machine yet",
            reason="unauthorized",
            where=f"adb:{serial}",
            remedy="confirm the question on its screen, then run the same command again",
        )
    return DeviceLost(
        f"the device is {shown(state)}",
        reason="device-offline",
        where=f"adb:{serial}",
        remedy="plug it in again, or: adb reconnect",
    )


def _shown_address(settings: AdbSettings) -> str:
    address = settings.address
    return address.replace("\0", "@") if isinstance(address, str) else f"{address[0]}:{address[1]}"
