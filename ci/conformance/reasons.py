"""Why some data gives other numbers than ONNX Runtime does, and may."""

from __future__ import annotations

from fnmatch import fnmatchcase

REASONS: tuple[tuple[str, str, str], ...] = ()
"""Patterns of an operator and of a kind of data, and the reason."""


def reason(operator: str, kind: str) -> str:
    """Return why results of an operator differ on a kind of data; nothing where nobody knows."""
    for of_operator, of_kind, why in REASONS:
        if fnmatchcase(operator, of_operator) and fnmatchcase(kind, of_kind):
            return why
    return ""
