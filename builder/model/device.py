"""A board within reach, and what travels between it and this machine."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_KEEP = 3
"""Releases that stay on a board: what it runs, and two to go back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A board one can reach. ``target`` is the name of the target that it is.

    ``host`` is an SSH destination (a name of ssh_config is enough), ``adb:SERIAL``, or ``local``
    for this very machine. ``root`` is where bundles are put on it; None: where the target says.
    ``keep`` is how many releases stay there, the current one among them. ``allow_exposed`` takes a
    root that other users of the board may change.
    """

    name: str
    target: str
    host: str
    root: str | None
    tags: tuple[str, ...]
    keep: int = DEFAULT_KEEP
    allow_exposed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SshLink:
    """A board behind SSH: ``host``, ``user@host``, ``user@host:port``, or an ssh_config name."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdbLink:
    """A board behind the Android debug bridge."""

    serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalLink:
    """This machine, taken for a board."""


Link = SshLink | AdbLink | LocalLink


def link_of(host: str) -> Link:
    """Return what a device's ``host`` names."""
    if host == "local":
        return LocalLink()
    scheme, _, serial = host.partition(":")
    if scheme == "adb" and serial:
        return AdbLink(serial=serial)
    return SshLink(destination=host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A command that ended on a board. The bytes are the board's: data, never to be trusted.

    ``status`` is the exit status; 128 + N where a signal N ended it.
    """

    status: int
    stdout: bytes
    stderr: bytes
