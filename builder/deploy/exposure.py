"""Whether others may change what lies in a folder: the folder itself, and those above it.

Each must belong to the user or to root, and be writable by nobody else. sshd's StrictModes asks the
same, but stops at the user's home. What is sticky is safe, and a group with the user's own number,
which is the user's alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_LISTED = re.compile(r"d(?P<mode>[rwxsStT-]{9})\S* +\d+ +(?P<owner>\d+) +(?P<group>\d+) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A folder that others may change: ``owner``, a number, or else whom its ``mode`` lets."""

    folder: str
    mode: str
    owner: str | None


def exposed(place: str, user: str | None, listed: Sequence[str]) -> Exposure | None:
    """Return the first folder, from ``place`` up, that others may change.

    ``listed`` is what ``ls -ldn`` says of each, ``user`` a number. None where nothing tells.
    """
    folder = PurePosixPath(place)
    for path, line in zip((folder, *folder.parents), listed, strict=False):
        found = _LISTED.match(line)
        if not user or not found:
            continue
        is_foreign = found["owner"] not in ("0", user)
        if is_foreign or _is_open(found["mode"], found["group"], user):
            owner = found["owner"] if is_foreign else None
            return Exposure(folder=str(path), mode=f"d{found['mode']}", owner=owner)
    return None


def _is_open(mode: str, group: str, user: str) -> bool:
    by_group = mode[4] == "w" and group not in ("0", user)
    return (by_group or mode[7] == "w") and mode[8] not in "tT"
