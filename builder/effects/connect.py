"""From a device to a transport: the one place that knows every kind of link."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import assert_never

from builder.effects.adb.settings import DEFAULT_ADB, AdbSettings
from builder.effects.local_board import LocalBoard
from builder.effects.ssh.settings import SshSettings
from builder.model.device import AdbLink, Link, LocalLink, SshLink
from builder.ports import Transport


def connect(
    link: Link, ssh: SshSettings, adb: AdbSettings = DEFAULT_ADB
) -> AbstractContextManager[Transport]:
    """Hold a connection to the board behind ``link``.

    Raises, on entering: ``UsageError`` for a configuration (``no-adb``), ``DeviceLost``
    (``no-route``, ``connection-refused``, ``link-lost``, ``no-device``, ``device-offline``),
    ``HostNotTrusted``, ``DeviceRefused`` (``authentication-failed``, ``unauthorized``).
    """
    match link:
        case SshLink():
            return _ssh(link, ssh)
        case AdbLink():
            return _adb(link, adb)
        case LocalLink():
            return nullcontext(LocalBoard())
        case _:
            assert_never(link)


@contextmanager
def _ssh(link: SshLink, settings: SshSettings) -> Iterator[Transport]:
    # paramiko takes a fifth of a second to import; only boards behind SSH pay for it.
    from builder.effects.ssh.board import SshBoard
    from builder.effects.ssh.route import route_to
    from builder.effects.ssh.session import connected

    with connected(route_to(link.destination, settings), settings) as transport:
        yield SshBoard(transport, link.destination)


@contextmanager
def _adb(link: AdbLink, settings: AdbSettings) -> Iterator[Transport]:
    from builder.effects.adb.board import AdbBoard
    from builder.effects.adb.server import require
    from builder.effects.adb.shell import AdbShell

    require(settings, link.serial)
    yield AdbBoard(AdbShell(settings=settings, serial=link.serial))
