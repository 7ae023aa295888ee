"""TCP connections that the kernel gives up in time."""

from __future__ import annotations

import errno
import queue
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

from builder.effects.ssh.settings import Hop
from builder.errors import DeviceLost

# Seconds until a connection with unanswered data, or an idle one without a peer, is dead. Where the
# names are missing the watchdog of ``wire.py`` does the same.
_OPTIONS = (
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 5),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 3),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 15_000),
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
)
_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


def connect(hop: Hop) -> socket.socket:
    """Connect to ``hop`` within its time, its name looked up in it.

    Raises ``DeviceLost``: ``no-route`` or ``connection-refused``.
    """
    try:
        return _dial(hop)
    except socket.gaierror as error:
        raise _unknown_name(hop, error) from error
    except TimeoutError as error:
        raise _silent(hop) from error
    except ConnectionRefusedError as error:
        raise _refused(hop) from error
    except OSError as error:
        raise _no_route(hop, error) from error


def _dial(hop: Hop) -> socket.socket:
    """Try the host's addresses, which share the time that there is."""
    deadline_s = time.monotonic() + hop.connect_timeout_s
    found = _addresses(hop)
    failure: OSError = OSError(errno.EHOSTUNREACH, "no address")
    for place, (family, kind, protocol, _, address) in enumerate(found):
        left_s = max(deadline_s - time.monotonic(), 0.1) / (len(found) - place)
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(left_s)
            made.connect(address)
            _set_options(made)
            return made
        except OSError as error:
            made.close()
            failure = error
    raise failure


_Address = tuple[int, int, int, str, Any]
"""Family, kind, protocol, canonical name and address, as ``getaddrinfo`` gives them."""


def _addresses(hop: Hop) -> Sequence[_Address]:
    """Look the host up in a thread: a resolver waits for its servers for as long as it likes."""
    answers: queue.SimpleQueue[Sequence[_Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=hop.connect_timeout_s)
    except queue.Empty:
        raise _unresolved(hop) from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _set_options(made: socket.socket) -> None:
    for level, option, value in _OPTIONS:
        if hasattr(socket, option):
            made.setsockopt(getattr(socket, level), getattr(socket, option), value)


def _refused(hop: Hop) -> DeviceLost:
    return DeviceLost(
        f"{hop.host} refuses connections on port {hop.port}",
        reason="connection-refused",
        where=hop.alias,
        remedy="start its SSH server, or set Port in ssh_config",
    )


def _unknown_name(hop: Hop, error: socket.gaierror) -> DeviceLost:
    return DeviceLost(
        f"the name {hop.host!r} is not known",
        reason="no-route",
        where=hop.alias,
        why=error.strerror,
        remedy="set HostName in ~/.ssh/config, or use the board's address",
    )


def _unresolved(hop: Hop) -> DeviceLost:
    return DeviceLost(
        f"the name {hop.host!r} could not be looked up within {hop.connect_timeout_s:g} s",
        reason="no-route",
        where=hop.alias,
        remedy="see whether this machine's name server answers, or use the board's address",
    )


def _silent(hop: Hop) -> DeviceLost:
    return DeviceLost(
        f"{hop.host} does not answer on port {hop.port} within {hop.connect_timeout_s:g} s",
        reason="no-route",
        where=hop.alias,
        remedy="check its power, its network and its address",
    )


def _no_route(hop: Hop, error: OSError) -> DeviceLost:
    reason = "no-route" if error.errno in _NO_ROUTE else "link-lost"
    return DeviceLost(
        f"{hop.host} cannot be reached",
        reason=reason,
        where=hop.alias,
        why=error.strerror,
        remedy="check its power, its network and its address",
    )
