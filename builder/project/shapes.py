"""The value of ``--shape``."""

from __future__ import annotations

import re

from builder.errors import UsageError

MAX_EXTENT = 2**31 - 1

_EXTENTS = re.compile(r"[1-9][0-9]{0,9}(?:,[1-9][0-9]{0,9})*")


def parse_shape(option: str) -> tuple[str, tuple[int, ...]]:
    """Return the input's name and its extents: ``images=1,3,224,224``.

    The name ends at the last ``=``, for names may hold one. Extents are 1 to 2**31 - 1. Raises
    ``UsageError`` (``bad-shape``).
    """
    name, _, written = option.rpartition("=")
    if name and _EXTENTS.fullmatch(written):
        shape = tuple(int(extent) for extent in written.split(","))
        if max(shape) <= MAX_EXTENT:
            return name, shape
    raise UsageError(
        f"cannot read the shape {option!r}",
        reason="bad-shape",
        where="--shape",
        why=f"extents are whole numbers from 1 to {MAX_EXTENT}",
        remedy="write NAME=1,3,224,224",
    )
