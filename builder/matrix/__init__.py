"""The target matrix: YAML texts in, targets out. A board is one file and no code (docs/targets.md).

Nothing here reads a file; whoever calls gives the texts, a user's own after the built-in ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builder.matrix.inheritance import by_name, lineage
from builder.matrix.loading import json_schema, load, validate
from builder.matrix.positions import decode
from builder.matrix.selection import matching, names
from builder.model.target import Target

__all__ = ["decode", "files_of", "json_schema", "load", "matching", "names", "select", "validate"]


def select(texts: Mapping[str, str], patterns: Iterable[str]) -> tuple[Target, ...]:
    """Return the targets that ``patterns`` mean. Raises what ``matching`` and ``load`` do."""
    return tuple(load(texts, name) for name in matching(texts, patterns))


def files_of(texts: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the files that say what the target ``name`` is. Raises as ``inheritance.lineage``."""
    files = by_name(texts)
    return tuple(files[ancestor].file for ancestor in lineage(files, name))
