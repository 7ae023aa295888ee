"""What was once computed from a file, remembered for as long as the file is untouched.

One small JSON file a fact, named after the file's path, replaced by rename: any number of processes
may read and write, a torn record is a record that is not there, and reading one takes microseconds.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from builder.beneath import open_plain, read_plain
from builder.effects.durable import make_private

RACY_NS = 2_000_000_000
"""A file written less than this ago may change again within one tick of its time stamp."""

_RECORD_BYTES = 16 << 20  # the external data files of one model, at most
_SHARD_LIMIT = 32  # of 256 shards: 8,192 records


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a file system changes when a file is written: size, times, inode."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            inode=status.st_ino,
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hex, reading it. Links are not followed."""
    with _open(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class DigestMemo:
    """SHA-256 digests and other facts about files, kept in ``folder``, right below the cache's.

    A fact is remembered only for a stamp whose ``mtime_ns`` lies ``RACY_NS`` or more before
    ``now_ns()``. Losing the folder, or being unable to write it, costs time and nothing else.
    """

    def __init__(self, folder: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._folder = folder
        self._now_ns = now_ns

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file as hex, reading it only when it is not known.

        Raises ``OSError`` as opening and reading do. Links are not followed.
        """
        with _open(path) as file:
            return self.sha256_of(path, file)

    def sha256_of(self, path: Path, file: io.FileIO) -> str:
        """Return the SHA-256 of the open ``file``, remembered as that of ``path``."""
        stamp = Stamp.of(os.fstat(file.fileno()))
        known = self.recall("sha256", path, stamp)
        if isinstance(known, str):
            return known
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if Stamp.of(os.fstat(file.fileno())) == stamp:
            self.remember("sha256", path, stamp, digest)
        return digest

    def seal(self, path: Path, sha256: str, *, moves_to: Path) -> None:
        """Remember the digest of a file just written that will lie at ``moves_to``.

        Dates the file back to before ``RACY_NS``, so that any later write shows.
        """
        written_ns = self._now_ns() - RACY_NS
        os.utime(path, ns=(written_ns, written_ns))
        self.remember("sha256", moves_to, Stamp.of(path.lstat()), sha256)

    def recall(self, topic: str, path: Path, stamp: Stamp) -> Any | None:
        """Return what was remembered under ``topic`` of the file in this very state, or None."""
        try:
            record = json.loads(read_plain(self._record(topic, path), _RECORD_BYTES))
            return record["fact"] if record["stamp"] == list(astuple(stamp)) else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def remember(self, topic: str, path: Path, stamp: Stamp, fact: Any) -> None:
        """Keep a JSON-able fact about a file as of ``stamp``, unless that is too young."""
        if self._now_ns() - stamp.mtime_ns < RACY_NS:
            return
        record = self._record(topic, path)
        part = record.with_name(f".{os.urandom(6).hex()}")
        with suppress(OSError):
            make_private(self._folder.parent)
            record.parent.mkdir(parents=True, exist_ok=True)
            _make_room(record.parent)
            part.write_text(json.dumps({"stamp": astuple(stamp), "fact": fact}), encoding="utf-8")
            part.replace(record)

    def _record(self, topic: str, path: Path) -> Path:
        name = f"{topic}\0{path.absolute()}".encode(errors="surrogateescape")
        digest = hashlib.blake2b(name, digest_size=20).hexdigest()
        return self._folder / digest[:2] / digest[2:]


def _open(path: Path) -> io.FileIO:
    return io.FileIO(open_plain(path), "rb")


def _make_room(shard: Path) -> None:
    records = sorted(os.scandir(shard), key=lambda entry: entry.stat().st_mtime_ns)
    for entry in records[: max(0, len(records) + 1 - _SHARD_LIMIT)]:
        Path(entry.path).unlink(missing_ok=True)
