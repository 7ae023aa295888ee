"""The store on disk: artifacts by key, whole or absent, shared by concurrent builds.

Layout below the root, explained in docs/cache.md: ``artifacts/<2>/<key>/``, ``locks/``, ``tmp/``,
``memo/``, and ``zig/``, which the compiler keeps.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from builder.effects import artifact_index
from builder.effects.digest_memo import DigestMemo
from builder.effects.durable import make_private, refusals, sync_folder
from builder.effects.eviction import CacheInfo, Cleaned, Eviction
from builder.effects.in_use import InUse
from builder.effects.ownership import owned_folder, sweep
from builder.errors import Interrupted

_POLL_S = 0.05
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


class DiskStore:
    """``builder.ports.Store`` below ``root``, which is made when first written to.

    What the disk refuses raises ``BuildFailed`` ``disk-full`` or ``cache-unwritable``.
    """

    def __init__(self, root: Path, memo: DigestMemo | None = None) -> None:
        self._root = root.absolute()
        self._tmp = self._root / "tmp"
        self._locks = self._root / "locks"
        self._memo = memo or DigestMemo(self._root / "memo")
        self._in_use = InUse(self._locks)
        self._eviction = Eviction(self._root, self._in_use)
        self._swept = False

    def lookup(self, key: str) -> Path | None:
        """Return the folder of a whole, verified artifact, or None. A corrupt one is dropped.

        What is returned stays until this process ends: no ``clean`` removes it.
        """
        folder = self._folder(key)
        if not os.path.lexists(folder):
            return None
        with self._refusals():
            self._in_use.note(key)
            return folder if self._verified(key, folder) else None

    @contextmanager
    def lock(self, key: str, cancel: threading.Event) -> Iterator[None]:
        """Hold the right to make ``key``. Raises ``Interrupted`` when cancelled while waiting."""
        from filelock import FileLock, Timeout  # 70 ms that a build with nothing to do does not pay

        with ExitStack() as held:
            with self._refusals():
                make_private(self._root)
                self._locks.mkdir(exist_ok=True)
                path = self._locks / f"{key}.lock"
                lock = FileLock(path, thread_local=False, fallback_to_soft=False)
                try:
                    lock.acquire(poll_interval=_POLL_S, cancel_check=cancel.is_set)
                except Timeout:
                    raise _interrupted() from None
                held.callback(lock.release)
            yield

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """Give an empty folder on the store's disk, removed on leaving if it was not committed."""
        with ExitStack() as held:
            with self._refusals():
                make_private(self._root)
                self._tmp.mkdir(exist_ok=True)
                self._sweep_once()
                staged = held.enter_context(owned_folder(self._tmp))
            yield staged

    def commit(self, key: str, staged: Path) -> Path:
        """Make the staged folder the artifact of ``key`` and return its path.

        Where another process has committed the key meanwhile, its artifact stays.
        """
        folder = self._folder(key)
        with self._refusals():
            self._in_use.note(key)
            artifact_index.seal(staged, key=key, moves_to=folder, memo=self._memo)
            folder.parent.mkdir(parents=True, exist_ok=True)
            while not _moved(staged, folder):
                if self._verified(key, folder):
                    return folder
            sync_folder(folder.parent)
        return folder

    def info(self) -> CacheInfo:
        """Measure what the store holds."""
        with self._refusals():
            return self._eviction.info()

    def clean(self, *, max_size_bytes: int | None = None, all: bool = False) -> Cleaned:
        """Remove what is least recently used until ``max_size_bytes`` are left, or ``all``.

        What a living process uses stays. Leftovers of dead processes go in any case.
        """
        with self._refusals():
            self._eviction.tidy()
            if all:
                self._eviction.forget()
            return self._eviction.clean(max_size_bytes=0 if all else max_size_bytes)

    def sweep(self) -> None:
        """Remove what dead processes left behind."""
        sweep(self._tmp)

    def _folder(self, key: str) -> Path:
        assert len(key) == 64, key
        return self._root / "artifacts" / key[:2] / key

    def _verified(self, key: str, folder: Path) -> bool:
        try:
            descriptor = os.open(folder, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        # Held open, so that no other folder can get the inode number of the one that is judged.
        try:
            # A link leads to what somebody else can change.
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            whole = is_folder and artifact_index.is_whole(folder, key=key, memo=self._memo)
            if whole:
                os.utime(folder / artifact_index.INDEX)
            else:
                self._eviction.drop(folder, descriptor)
        finally:
            os.close(descriptor)
        return whole

    def _sweep_once(self) -> None:
        if not self._swept:
            self._swept = True
            self.sweep()

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals(
            self._root,
            unwritable="cache-unwritable",
            remedy="make the cache folder writable, or choose another with BOARDWRIGHT_CACHE_DIR",
        )


def _moved(staged: Path, folder: Path) -> bool:
    try:
        staged.rename(folder)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _interrupted() -> Interrupted:
    return Interrupted(
        "stopped while waiting for another build of the same step",
        reason="interrupted",
        remedy="run the same command again to go on from there",
    )
