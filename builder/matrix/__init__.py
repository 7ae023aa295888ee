"""The target matrix: YAML texts in, targets out. A board is one file and no code (docs/targets.md).

Nothing here reads a file; whoever calls gives the texts, a user's own after the built-in ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builder.matrix.loading import json_schema, load, validate
from builder.matrix.positions import decode
from builder.matrix.selection import matching, names
from builder.model.target import Target

__all__ = ["decode", "json_schema", "load", "matching", "names", "select", "validate"]


def select(texts: Mapping[str, str], patterns: Iterable[str]) -> tuple[Target, ...]:
    """Return the targets that ``patterns`` mean. Raises what ``matching`` and ``load`` do."""
    return tuple(load(texts, name) for name in matching(texts, patterns))
