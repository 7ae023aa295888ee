"""Pattern lists as ssh_config and known_hosts write them: ``*``, ``?`` and ``!`` to except."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache


def matches(patterns: Iterable[str], name: str) -> bool:
    """Return whether a pattern matches ``name`` and none of those with ``!`` does."""
    found = False
    for pattern in patterns:
        if _expression(pattern.removeprefix("!")).fullmatch(name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    # Not fnmatch, which takes the brackets of [host]:port for a set of characters.
    spelled = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(spelled, re.DOTALL)
