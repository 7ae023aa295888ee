"""What the store holds, and what leaves it: least recently used first, never what is in use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from builder.effects.artifact_index import INDEX
from builder.effects.durable import make_private
from builder.effects.in_use import InUse
from builder.effects.ownership import orphans, owned_folder, sweep

ZIG = "zig"
"""The compiler's own cache, which counts as one entry: its folder, and its name in ``InUse``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """What a store holds. Uses are nanoseconds since 1970, None where it is empty."""

    size_bytes: int
    entries: int
    oldest_use_ns: int | None
    newest_use_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What ``clean`` removed, what is left, and how much of that stayed because it is in use."""

    removed_entries: int
    freed_bytes: int
    kept_entries: int
    kept_bytes: int
    in_use_entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    path: Path
    size_bytes: int
    used_ns: int


class Eviction:
    """Looks over the entries below a store's ``root`` and removes them. Raises ``OSError``."""

    def __init__(self, root: Path, in_use: InUse) -> None:
        self._root = root
        self._tmp = root / "tmp"
        self._in_use = in_use

    def info(self) -> CacheInfo:
        """Measure what the store holds."""
        entries = self._entries()
        return CacheInfo(
            size_bytes=_total(entries),
            entries=len(entries),
            oldest_use_ns=min((entry.used_ns for entry in entries), default=None),
            newest_use_ns=max((entry.used_ns for entry in entries), default=None),
        )

    def clean(self, *, max_size_bytes: int | None) -> Cleaned:
        """Remove entries, least recently used first, until ``max_size_bytes`` (if any) are left."""
        entries = self._entries()
        with self._trash() as trash:
            with self._in_use.removal() as in_use:
                removed = [
                    entry
                    for entry in _surplus(entries, max_size_bytes, in_use)
                    if _moved(entry.path, trash / entry.name)
                ]
            kept = [entry for entry in entries if entry not in removed]
        return Cleaned(
            removed_entries=len(removed),
            freed_bytes=_total(removed),
            kept_entries=len(kept),
            kept_bytes=_total(kept),
            in_use_entries=sum(entry.name in in_use for entry in kept),
        )

    def drop(self, path: Path, descriptor: int) -> None:
        """Remove what lies at ``path`` if it still is what ``descriptor`` was opened on."""
        with self._trash() as trash, self._in_use.removal(), suppress(FileNotFoundError):
            if os.path.samestat(path.lstat(), os.fstat(descriptor)):
                path.rename(trash / path.name)

    def tidy(self) -> None:
        """Remove what dead processes left, and the locks that nobody holds."""
        sweep(self._tmp)
        for lock in orphans(self._root / "locks", "*.lock"):
            lock.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove all that is remembered about files."""
        with self._trash() as trash:
            _moved(self._root / "memo", trash / "memo")

    def _trash(self) -> AbstractContextManager[Path]:
        make_private(self._root)
        self._tmp.mkdir(exist_ok=True)
        return owned_folder(self._tmp)

    def _entries(self) -> list[_Entry]:
        entries = [_artifact(path) for path in (self._root / "artifacts").glob("??/*")]
        zig = self._root / ZIG
        if zig.is_dir():
            entries.append(_entry(ZIG, zig, stamp=zig))
        return sorted(entries, key=lambda entry: entry.used_ns)


def _artifact(path: Path) -> _Entry:
    return _entry(path.name, path, stamp=path / INDEX)


def _entry(name: str, path: Path, *, stamp: Path) -> _Entry:
    # Without its stamp an entry is rubbish: the first to go.
    used_ns = stamp.stat().st_mtime_ns if stamp.exists() else 0
    return _Entry(name=name, path=path, size_bytes=sum(_sizes(path)), used_ns=used_ns)


def _sizes(root: Path) -> Iterator[int]:
    for below, _, names in os.walk(root):
        for name in names:
            with suppress(FileNotFoundError):
                yield Path(below, name).lstat().st_size


def _total(entries: Sequence[_Entry]) -> int:
    return sum(entry.size_bytes for entry in entries)


def _surplus(
    entries: Sequence[_Entry], max_size_bytes: int | None, in_use: frozenset[str]
) -> Iterator[_Entry]:
    left = _total(entries)
    for entry in entries:
        if max_size_bytes is None or left <= max_size_bytes:
            return
        if entry.name not in in_use:
            left -= entry.size_bytes
            yield entry


def _moved(path: Path, to: Path) -> bool:
    try:
        path.rename(to)
    except FileNotFoundError:
        return False
    return True
