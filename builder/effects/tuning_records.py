"""Folders of tuning records: a JSON file a CPU."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builder.effects.durable import make_private, refusals, write_atomically
from builder.errors import BuildFailed, UsageError
from builder.model.tuning import TuningRecord
from builder.tuning.records import LARGEST_BYTES, merged, parse, render

_LOCK_S = 30.0


def read_records(folder: Path) -> tuple[TuningRecord, ...]:
    """Return all records in a folder; none where there is no such folder.

    Raises ``UsageError``: ``records-unreadable``, and as ``tuning.records.parse`` does.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise _unreadable(folder, error.strerror) from error
    return tuple(record for path in paths for record in _read(path))


def keep(records: Sequence[TuningRecord], folder: Path, locks: Path) -> None:
    """Add records to those in ``folder``; who else does so meanwhile waits.

    ``locks`` is a folder of the cache. Raises ``BuildFailed`` where the disk refuses.
    """
    remedy = "make that folder writable, or choose another with -o"
    with refusals(folder, unwritable="records-unwritable", remedy=remedy):
        folder.mkdir(parents=True, exist_ok=True)
        make_private(locks.parent)
        locks.mkdir(exist_ok=True)
        with _locked(folder, locks):
            for cpu in sorted({record.cpu for record in records}):
                _add([one for one in records if one.cpu == cpu], folder / f"{cpu}.json")


def _add(records: Iterable[TuningRecord], path: Path) -> None:
    before = _read(path) if os.path.lexists(path) else ()
    write_atomically(path, render(merged(before, records)))


def _read(path: Path) -> tuple[TuningRecord, ...]:
    try:
        if not path.is_file():  # a pipe that nobody writes to would hold up a build
            raise _unreadable(path, "it is no file")
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    return parse(text, str(path))


@contextmanager
def _locked(folder: Path, locks: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout  # 70 ms that only tuning pays

    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    lock = FileLock(locks / f"tuning-{name}.lock", fallback_to_soft=False)
    try:
        lock.acquire(timeout=_LOCK_S)
    except Timeout:
        raise BuildFailed(
            "another program holds these tuning records",
            reason="records-locked",
            where=str(folder),
            remedy="wait until it has ended, and run the same command again",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _unreadable(path: Path, why: str | None) -> UsageError:
    return UsageError(
        "cannot read tuning records",
        reason="records-unreadable",
        where=str(path),
        why=why,
        remedy="make it readable, or move it away",
    )
