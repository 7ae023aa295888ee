"""Which plain scalars are not text. Less than YAML 1.2's core schema, and none of 1.1's traps."""

from __future__ import annotations

import re

_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
# 18 digits fit 64 bits, and int() of thousands of digits is an error.
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(
    r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{0,30}(?:[eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})"
)


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain (unquoted) scalar.

    Only ``null``/``~``/nothing, ``true``/``false`` and decimal numbers are not text. So ``no``,
    ``on``, ``22:22``, ``010``, ``0x1F``, ``1_000`` and dates are the text that was written.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
