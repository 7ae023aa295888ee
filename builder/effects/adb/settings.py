"""Where the adb server is, and the program that starts one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.errors import UsageError

_HOST, _PORT = "127.0.0.1", 5037
Address = tuple[str, int] | str
"""Host and port, or the path of a socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdbSettings:
    """``program`` is adb's path, None where it is not installed; ``variables`` are passed on."""

    program: str | None = None
    address: Address = (_HOST, _PORT)
    variables: Mapping[str, str] = field(default_factory=dict, compare=False)


DEFAULT_ADB = AdbSettings()
"""A server where adb itself starts one, which must be running."""


def read_adb_settings(variables: Mapping[str, str], search_path: str) -> AdbSettings:
    """Return what adb itself would take from the environment.

    Raises ``UsageError`` ``adb-address`` for an ADB_SERVER_SOCKET that is no TCP or file socket.
    """
    return AdbSettings(
        program=shutil.which("adb", path=search_path),
        address=_address(variables),
        variables=variables,
    )


def _address(variables: Mapping[str, str]) -> Address:
    named = variables.get("ADB_SERVER_SOCKET")
    if not named:
        host = variables.get("ANDROID_ADB_SERVER_ADDRESS") or _HOST
        return host, _port(variables.get("ANDROID_ADB_SERVER_PORT") or str(_PORT))
    kind, _, rest = named.partition(":")
    if kind == "localfilesystem" and rest.startswith("/"):
        return rest
    if kind == "localabstract" and rest:
        return f"\0{rest}"
    if kind == "tcp" and rest:
        host, _, port = rest.rpartition(":")
        return host or _HOST, _port(port)
    raise _bad(named)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise _bad(text)
    return int(text)


def _bad(named: str) -> UsageError:
    return UsageError(
        f"{named!r} is no address of an adb server",
        reason="adb-address",
        remedy="correct ADB_SERVER_SOCKET (tcp:host:port or localfilesystem:/path) or unset it",
    )
