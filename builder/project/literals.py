"""The values of ``--dim`` and ``--freeze``, and of ``freeze:`` in a project file."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

from builder.errors import UsageError
from builder.project.shapes import MAX_EXTENT

_EXTENT = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_EXPECTED = "a value is a number, true, false, or lists of such, all of one length"
_MAX_DEPTH = 8


def parse_dim(option: str) -> tuple[str, int]:
    """Return a dimension's name and its extent: ``batch=1``. Raises ``UsageError`` ``bad-dim``."""
    name, _, written = option.rpartition("=")
    if name and _EXTENT.fullmatch(written) and int(written) <= MAX_EXTENT:
        return name, int(written)
    raise UsageError(
        f"cannot read the dimension {option!r}",
        reason="bad-dim",
        where="--dim",
        why=f"an extent is a whole number from 1 to {MAX_EXTENT}",
        remedy="write NAME=1",
    )


def parse_freeze(option: str) -> tuple[str, str] | Path:
    """Return an input's name and its value as JSON text, or the .npz that holds such values.

    ``sr=16000``, ``on=true``, ``scales=1,2.5``, ``boxes=[[0,0],[1,1]]``, ``constants.npz``. Raises
    ``UsageError`` (``bad-freeze``).
    """
    if option.endswith(".npz"):
        return Path(option)
    name, _, written = option.rpartition("=")
    try:
        if name:
            return name, literal_text(written)
    except ValueError:
        pass
    raise UsageError(
        f"cannot read the frozen input {option!r}",
        reason="bad-freeze",
        where="--freeze",
        why=_EXPECTED,
        remedy="write NAME=16000, NAME=[[1,2],[3,4]] or FILE.npz",
    )


def literal_text(value: object) -> str:
    """Return a number, a truth value or a full array of such, as nested lists, as JSON text.

    Text is read as such a value first. Raises ``ValueError`` for anything else.
    """
    if isinstance(value, str):
        value = _read(value)
    _extents(value, _MAX_DEPTH)
    return json.dumps(value, separators=(",", ":"))


def _read(written: str) -> object:
    for text in (written, f"[{written}]"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            continue
    raise ValueError(_EXPECTED)


def _extents(value: object, depth: int) -> tuple[int, ...]:
    if isinstance(value, bool | int | float):
        return ()
    if not isinstance(value, list) or not value or not depth:
        raise ValueError(_EXPECTED)
    inner = [_extents(item, depth - 1) for item in value]
    if any(one != other for one, other in pairwise(inner)):
        raise ValueError(_EXPECTED)
    return (len(value), *inner[0])
