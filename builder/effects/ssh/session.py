"""An authenticated SSH connection to a board, through every server on the way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import paramiko
from paramiko.ssh_exception import IncompatiblePeer
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
)

from builder.effects.board_failures import link_lost
from builder.effects.ssh.authentication import authenticate
from builder.effects.ssh.proxy import proxied
from builder.effects.ssh.settings import Hop, Route, SshSettings
from builder.effects.ssh.signals import SignalledTransport
from builder.effects.ssh.tcp import connect as tcp_connect
from builder.effects.ssh.trust import HostTrust
from builder.effects.ssh.wire import BROKEN, End, Watchdog, Wire
from builder.errors import DeviceLost, DeviceRefused

STAGE_S = 15.0
"""How long any one answer of a server may take while a connection is made."""

# Authenticated ciphers in one pass over the bytes come first: twice as fast as CTR with an HMAC.
_CIPHERS = (
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, DeviceLost) and error.reason in ("link-lost", "connection-refused")


# A busy server drops connections before it says who it is, and one that restarts refuses them. What
# took long has had its chance: a dead link is to be told in time.
_RETRYING = Retrying(
    retry=retry_if_exception(_may_pass),
    stop=stop_after_attempt(4) | stop_after_delay(3.0),
    wait=wait_exponential(multiplier=0.25),
    reraise=True,
)

# Else what the library logs of a failed handshake would go to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@contextmanager
def connected(route: Route, settings: SshSettings) -> Iterator[paramiko.Transport]:
    """Hold a connection to the last hop of ``route``.

    Raises ``DeviceLost`` (``no-route``, ``connection-refused``, ``link-lost``), ``HostNotTrusted``
    before any authentication, ``DeviceRefused`` (``authentication-failed``).
    """
    transport, ends = _RETRYING(_connect, route, settings)
    with ends:
        yield transport


def _connect(route: Route, settings: SshSettings) -> tuple[paramiko.Transport, ExitStack]:
    with ExitStack() as ends:
        transport: paramiko.Transport | None = None
        for place, hop in enumerate(route):
            before = route[place - 1] if place else None
            end = _reach(hop, transport, before, settings, ends)
            transport = _converse(hop, end, settings, ends)
        assert transport is not None
        return transport, ends.pop_all()


def _reach(
    hop: Hop,
    transport: paramiko.Transport | None,
    before: Hop | None,
    settings: SshSettings,
    ends: ExitStack,
) -> End:
    if transport is not None and before is not None:
        return _tunnel(hop, transport, before)
    if hop.proxy_command is not None:
        return ends.enter_context(proxied(hop.proxy_command, settings.variables))
    return tcp_connect(hop)


def _tunnel(hop: Hop, transport: paramiko.Transport, before: Hop) -> paramiko.Channel:
    try:
        return transport.open_channel(
            "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=STAGE_S
        )
    except paramiko.ChannelException as error:
        raise _not_passed_on(hop, before, error) from error
    except BROKEN as error:
        raise link_lost(before.alias, str(error) or None) from error


def _not_passed_on(hop: Hop, before: Hop, error: paramiko.ChannelException) -> DeviceLost:
    return DeviceLost(
        f"{before} cannot reach {hop.host} on port {hop.port}",
        reason="no-route",
        where=hop.alias,
        why=error.text,
        remedy=f"try it there: ssh {before.alias} ssh-keyscan -p {hop.port} {hop.host}",
    )


def _converse(hop: Hop, end: End, settings: SshSettings, ends: ExitStack) -> paramiko.Transport:
    wire = Wire(end)
    ends.callback(wire.close)
    trust = HostTrust(hop, settings)
    transport = _handshake(hop, wire, trust)
    ends.callback(transport.close)
    trust.verify(transport.get_remote_server_key())
    authenticate(transport, wire, hop)
    Watchdog(transport, wire)
    return transport


def _handshake(hop: Hop, wire: Wire, trust: HostTrust) -> paramiko.Transport:
    transport = SignalledTransport(wire)  # type: ignore[arg-type]
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = STAGE_S
    options = transport.get_security_options()
    options.ciphers = _CIPHERS
    options.key_types = trust.preferred(options.key_types)
    try:
        transport.start_client(timeout=STAGE_S)
    except IncompatiblePeer as error:
        raise _incompatible(hop, error) from error
    except BROKEN as error:
        raise link_lost(hop.alias, str(error) or "the server closed the connection") from error
    if not transport.initial_kex_done:
        transport.close()
        raise link_lost(hop.alias, f"the server did not answer within {STAGE_S:g} s")
    return transport


def _incompatible(hop: Hop, error: IncompatiblePeer) -> DeviceRefused:
    return DeviceRefused(
        "the server and this program share no algorithm",
        reason="no-common-algorithm",
        where=hop.alias,
        why=str(error),
        remedy="update the SSH server of the board",
    )
