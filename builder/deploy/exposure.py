"""Whether others may change what lies in a folder: the folder itself, and those above it.

As sshd's StrictModes: each must belong to the user or to root, and be writable by nobody else.
What is sticky is safe, and a group with the user's own number, which is the user's alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_LISTED = re.compile(r"d(?P<mode>[rwxsStT-]{9})\S* +\d+ +(?P<owner>\d+) +(?P<group>\d+) ")


def exposed(place: str, user: str | None, listed: Sequence[str]) -> str | None:
    """Return the mode and path of the first folder, from ``place`` up, that others may change.

    ``listed`` is what ``ls -ldn`` says of each, ``user`` a number. None where nothing tells.
    """
    folder = PurePosixPath(place)
    for path, line in zip((folder, *folder.parents), listed, strict=False):
        found = _LISTED.match(line)
        if user and found and _is_open(found["mode"], found["owner"], found["group"], user):
            return f"d{found['mode']} {path}"
    return None


def _is_open(mode: str, owner: str, group: str, user: str) -> bool:
    if owner not in ("0", user):
        return True
    by_group = mode[4] == "w" and group not in ("0", user)
    return (by_group or mode[7] == "w") and mode[8] not in "tT"
