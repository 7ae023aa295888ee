"""Content keys: everything that can change an artifact, and nothing else, as one SHA-256.

A key is recursive, as a step is: the steps it holds count by their keys, the user's files by their
digests, the toolchain by its value. Where a file lies (``compare=False``) never counts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from builder.steps import Step

_STEPS: tuple[type[Step], ...] = get_args(Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadIdentity:
    """The code that performs the steps: a SHA-256 over the payload's sources and templates.

    The tools it drives (TVM, zig, …) are not here: their versions are the toolchain's identity.
    """

    sources: str


@cache
def key(step: Step, payload: PayloadIdentity) -> str:
    """Return the content key of ``step``: 64 hexadecimal digits."""
    identity = {
        "payload": payload.sources,
        "step": _fields(step, lambda nested: key(nested, payload)),
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _fields(value: Any, key_of: Callable[[Step], str]) -> dict[str, Any]:
    identity = {
        field.name: _canonical(getattr(value, field.name), key_of)
        for field in dataclasses.fields(value)
        if field.compare
    }
    return {type(value).__name__: identity}


def _canonical(value: Any, key_of: Callable[[Step], str]) -> Any:
    if isinstance(value, _STEPS):
        return key_of(value)
    if dataclasses.is_dataclass(value):
        return _fields(value, key_of)
    if isinstance(value, tuple):
        return [_canonical(item, key_of) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no canonical form")
