"""Values parsed from texts, remembered by what the texts say: the no-op rebuild does no parsing.

Checking a target file costs ten times what reading a remembered answer does. Losing the folder, or
being unable to write it, costs time and nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from builder.beneath import read_plain
from builder.effects.durable import make_private

T = TypeVar("T")

_KEPT = 64
_RECORD_BYTES = 16 << 20


class ParsedValues:
    """Frozen dataclasses, and tuples of them, by the digest of what they were parsed from.

    They lie in ``memo/parsed`` of the cache. ``parser`` identifies the code that parses: what
    another parser has made is not taken.
    """

    def __init__(self, cache_root: Path, *, parser: str) -> None:
        self._cache_root = cache_root
        self._folder = cache_root / "memo" / "parsed"
        self._parser = parser

    def get(self, kind: Any, texts: object, parse: Callable[[], T]) -> T:
        """Return ``parse()``, or what it returned the last time it was given ``texts``.

        ``kind`` is the type to rebuild; ``texts`` are all that the value follows from, as JSON-able
        data. What ``parse`` raises is raised, and remembered by nobody.
        """
        name = json.dumps([self._parser, texts], sort_keys=True).encode()
        record = self._folder / hashlib.sha256(name).hexdigest()
        try:
            known: T = thaw(kind, json.loads(read_plain(record, _RECORD_BYTES)))
        except (OSError, ValueError, TypeError, KeyError):
            value = parse()
            self._remember(record, value)
            return value
        return known

    def _remember(self, record: Path, value: object) -> None:
        part = record.with_name(f".{os.urandom(6).hex()}")
        with suppress(OSError):
            make_private(self._cache_root)
            record.parent.mkdir(parents=True, exist_ok=True)
            _make_room(record.parent)
            part.write_text(json.dumps(value, default=_fields), encoding="utf-8")
            part.replace(record)


def thaw(kind: Any, content: Any) -> Any:
    """Return the value of type ``kind`` that ``content`` is the JSON of.

    Knows dataclasses, tuples, ``X | None`` and what JSON has itself. Raises ``TypeError`` and
    ``KeyError`` for content of another shape.
    """
    if dataclasses.is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        return kind(**{name: thaw(hint, content[name]) for name, hint in hints.items()})  # type: ignore[operator]
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        kinds = [inner[0]] * len(content) if inner[-1] is Ellipsis else inner
        return tuple(thaw(*pair) for pair in zip(kinds, content, strict=True))
    if isinstance(kind, UnionType):
        return None if content is None else thaw(inner[0], content)
    return content


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)  # which compiles each annotation anew


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _make_room(folder: Path) -> None:
    records = sorted(os.scandir(folder), key=lambda entry: entry.stat().st_mtime_ns)
    for entry in records[: max(0, len(records) + 1 - _KEPT)]:
        Path(entry.path).unlink(missing_ok=True)
