"""How much memory is free here: what the kernel says, and what the control groups leave of it.

The machine's total says nothing: other programs hold most of it, or a container may have a part
only. Sources: proc(5), MemAvailable; cgroups(7), version 2 ``memory.max`` and version 1
``memory.limit_in_bytes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")
_UNLIMITED = 1 << 60  # version 1 has no word for it, but a number near 2^63


def free_bytes(root: Path = _ROOT) -> int | None:
    """Return the bytes that a process here may still take; None where nothing tells.

    File pages that the kernel would give up count as free. ``root`` is where ``proc`` and ``sys``
    are mounted.
    """
    found = [*_available(root), *_left_by_groups(root)]
    return max(0, min(found)) if found else None


def own_bytes(root: Path = _ROOT) -> int:
    """Return what RLIMIT_DATA counts of this process already."""
    return sum(_kibibytes(root / "proc/self/status", "VmData"))


def _available(root: Path) -> Iterator[int]:
    yield from _kibibytes(root / "proc/meminfo", "MemAvailable")


def _kibibytes(table: Path, name: str) -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in table.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                yield int(line.split()[1]) * 1024


def _left_by_groups(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0" and not controllers:
                mount = root / "sys/fs/cgroup"
                yield from _left(mount, path, "memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                mount = root / "sys/fs/cgroup/memory"
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                yield from _left(mount, path, *names)


def _left(mount: Path, path: str, limit: str, used: str, freeable: str) -> Iterator[int]:
    """Yield what a group and each one around it leave; the innermost may not be visible here."""
    group = mount / path.strip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(mount):
            return
        with suppress(OSError, ValueError):
            most = int((folder / limit).read_text(encoding="ascii"))  # "max" is no number
            if most < _UNLIMITED:
                held = int((folder / used).read_text(encoding="ascii"))
                yield most - held + _given_up(folder / "memory.stat", freeable)


def _given_up(table: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in table.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
