"""Machines of one's own: network namespaces, joined to this one and to each other by cables."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A namespace; ``address`` is its end of the cable that leads towards this machine."""

    name: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command in it."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Take its end of the cable down: from now on nothing is answered."""
        _ip("-n", self.name, "link", "set", "eth0", "down")


@contextmanager
def machine(number: int, *, behind: Machine | None = None) -> Iterator[Machine]:
    """Make a machine reached from this one, or only from the one that it is ``behind``."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    # From the range for measurements of devices (RFC 2544), apart for each process of tests.
    third = f"198.18.{os.getpid() % 250}"
    near, far = f"{third}.{number * 4 + 1}", f"{third}.{number * 4 + 2}"
    name, cable = f"bw{os.getpid()}-{number}", f"bw{os.getpid() % 100_000}-{number}"
    _ip("netns", "add", name)
    try:
        where = ("-n", behind.name) if behind else ()
        _ip(*where, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip(*where, "address", "add", f"{near}/30", "dev", cable)
        _ip(*where, "link", "set", cable, "up")
        _ip("-n", name, "address", "add", f"{far}/30", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", name, "link", "set", device, "up")
        yield Machine(name=name, address=far)
    finally:
        _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    done = subprocess.run(("ip", *words), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"ip {' '.join(words)}: {done.stderr.strip()}")
