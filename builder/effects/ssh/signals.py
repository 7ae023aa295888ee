"""The signal that ended a command (RFC 4254, section 6.10), which paramiko drops."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST

_UNKNOWN_SIGNAL = 0


def _number(name: str) -> int:
    # The names are those of POSIX without SIG; a server may send its own with an @.
    found = getattr(signal, f"SIG{name}", _UNKNOWN_SIGNAL)
    return int(found)


def _request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    if message.get_text() == "exit-signal":
        message.get_boolean()
        channel.exit_status = 128 + _number(message.get_text())
        channel.status_event.set()
        return
    message.rewind()
    message.get_int()  # the channel's number, read before
    channel._handle_request(message)  # type: ignore[attr-defined]


class SignalledTransport(paramiko.Transport):
    """A transport whose commands end with 128 + N when signal N ended them, as in a shell."""

    _channel_handler_table: ClassVar[dict[int, Callable[..., None]]] = {
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_REQUEST: _request,
    }
