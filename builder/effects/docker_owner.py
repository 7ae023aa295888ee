"""Whose container this is: what a killed build left behind is told from a running build's."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

LABEL = "boardwright.owner"
FOREIGN_LIFETIME_S = 24 * 3600.0
"""Another machine's processes cannot be seen from here: its containers are left this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One process: where it counts process ids (host, boot, pid namespace), its id, its start.

    ``started`` is in clock ticks since boot: an id that was given out again is another process.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    def to_label(self) -> str:
        """Return the owner as the text of a label."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_label(cls, text: str) -> Owner | None:
        """Return the owner that ``to_label`` wrote, or None where it wrote something else."""
        try:
            fields = json.loads(text)
            owner = cls(**{**fields, "pid": int(fields["pid"])})
        except (ValueError, TypeError, KeyError):
            return None
        return owner if owner.pid > 0 else None

    def sees(self, other: Owner) -> bool:
        """Say whether ``other``'s process id means the same process here."""
        here = (self.host, self.boot, self.namespace)
        return here == (other.host, other.boot, other.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A container with our label on it. ``created_s`` is the engine's time of creation (epoch)."""

    container: str
    owner: Owner | None
    created_s: float


def this_process() -> Owner:
    """Return the owner of what this process makes."""
    pid = os.getpid()
    return Owner(
        host=socket.gethostname(),
        boot=_boot(),
        namespace=_namespace(),
        pid=pid,
        started=_started(pid),
    )


def is_alive(owner: Owner) -> bool:
    """Say whether a process that ``this_process().sees`` still runs."""
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # another user's
    return _started(owner.pid) == owner.started


def abandoned(labelled: Labelled, *, me: Owner, now_s: float) -> bool:
    """Say whether nobody waits for this container any more."""
    if labelled.owner is not None and me.sees(labelled.owner):
        return not is_alive(labelled.owner)
    return now_s - labelled.created_s > FOREIGN_LIFETIME_S


@cache
def _boot() -> str:
    return _read(Path("/proc/sys/kernel/random/boot_id"))


@cache
def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    # proc(5): the 22nd field; the 2nd is the program's name and may hold spaces and parentheses.
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    is_running = len(fields) > 19 and fields[0] not in ("Z", "X", "x")
    return fields[19] if is_running else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""  # no Linux: the process id alone has to do
