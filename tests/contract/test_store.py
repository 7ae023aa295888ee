"""What a store promises, on the fake and on disk; and what only a disk can suffer."""

from __future__ import annotations

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.effects.artifact_index import INDEX
from builder.effects.digest_memo import DigestMemo, Stamp
from builder.effects.in_use import InUse
from builder.effects.parsed import ParsedValues
from builder.effects.store import DiskStore
from builder.errors import BuildFailed, Interrupted
from builder.ports import Store
from tests.fakes import FakeStore

KEY, OTHER, THIRD = "a" * 64, "b" * 64, "c" * 64
NEVER = threading.Event()
LARGE_BYTES = (1 << 20) + 1
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=[FakeStore, DiskStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    made: Store = request.param(tmp_path / "cache")
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def disk(root: Path) -> DiskStore:
    return DiskStore(root)


def put(store: Store, key: str, **files: bytes) -> Path:
    with store.stage() as staged:
        for name, content in (files or {"file": b"content"}).items():
            path = staged / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return store.commit(key, staged)


@contextmanager
def held(store: Store) -> Iterator[None]:
    """Hold the lock of ``KEY`` in another thread: one that waits for itself is refused at once."""
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock(KEY, NEVER):
            holds.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait()
    yield
    done.set()
    thread.join()


class TestEveryStore:
    def test_has_nothing_at_first(self, store: Store) -> None:
        assert store.lookup(KEY) is None

    def test_gives_back_what_was_committed(self, store: Store) -> None:
        committed = put(store, KEY, top=b"1", folder__below=b"2")
        assert store.lookup(KEY) == committed
        assert (committed / "folder" / "below").read_bytes() == b"2"
        assert store.lookup(OTHER) is None

    def test_gives_an_empty_folder_each_time(self, store: Store) -> None:
        with store.stage() as one, store.stage() as other:
            assert one != other
            assert [*one.iterdir(), *other.iterdir()] == []

    def test_removes_what_was_not_committed(self, store: Store) -> None:
        with pytest.raises(KeyError), store.stage() as staged:
            (staged / "half").write_bytes(b"x")
            raise KeyError
        assert not staged.exists()
        assert store.lookup(KEY) is None

    def test_holds_a_lock_for_one_at_a_time(self, store: Store) -> None:
        inside: list[int] = []
        most: list[int] = []

        def make() -> None:
            with store.lock(KEY, NEVER):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.01)
                inside.pop()

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1, 1, 1, 1]

    def test_locks_of_two_keys_are_two(self, store: Store) -> None:
        with store.lock(KEY, NEVER), store.lock(OTHER, NEVER):
            pass

    def test_frees_a_lock_after_a_failure(self, store: Store) -> None:
        with pytest.raises(KeyError), store.lock(KEY, NEVER):
            raise KeyError
        with store.lock(KEY, NEVER):
            pass

    def test_waits_for_a_lock_until_cancelled(self, store: Store) -> None:
        cancel = threading.Event()
        timer = threading.Timer(0.1, cancel.set)
        timer.start()
        with held(store), pytest.raises(Interrupted), store.lock(KEY, cancel):
            pytest.fail("got a lock that is held")
        timer.join()

    def test_keeps_the_first_of_two_artifacts_of_a_key(self, store: Store) -> None:
        first = put(store, KEY, file=b"first")
        assert put(store, KEY, file=b"second") == first
        assert (first / "file").read_bytes() == b"first"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _replace_by_link(artifact: Path) -> None:
    artifact.rename(artifact.with_name("elsewhere"))
    artifact.symlink_to("elsewhere")


def _replace(path: Path, make: Callable[..., None], *arguments: object) -> None:
    path.unlink()
    make(path, *arguments)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit of a small file": lambda artifact: _flip(artifact / "small"),
    "a bit of a large file": lambda artifact: _flip(artifact / "large"),
    "a file cut": lambda artifact: os.truncate(artifact / "large", LARGE_BYTES - 1),
    "a file gone": lambda artifact: (artifact / "small").unlink(),
    "a file more": lambda artifact: (artifact / "more").touch(),
    "a file made executable": lambda artifact: (artifact / "small").chmod(0o755),
    "a link for a file": lambda artifact: _replace(artifact / "small", Path.symlink_to, "large"),
    "a folder for a file": lambda artifact: _replace(artifact / "small", Path.mkdir),
    "no index": lambda artifact: (artifact / INDEX).unlink(),
    "index cut": lambda artifact: os.truncate(artifact / INDEX, 20),
    "index empty": lambda artifact: os.truncate(artifact / INDEX, 0),
    "index of another key": lambda artifact: (artifact / INDEX).write_text(
        (artifact / INDEX).read_text().replace(KEY, OTHER)
    ),
    "a link for the whole": lambda artifact: _replace_by_link(artifact),
    "a pipe for the index": lambda artifact: _replace(artifact / INDEX, os.mkfifo),
    "a link for the index": lambda artifact: _replace(
        artifact / INDEX, Path.symlink_to, "/dev/zero"
    ),
    "a pipe for a file": lambda artifact: _replace(artifact / "small", os.mkfifo),
    "index not an object": lambda artifact: (artifact / INDEX).write_text("[]"),
    "index too deep": lambda artifact: (artifact / INDEX).write_text("[" * 100_000),
}


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
    def test_a_damaged_artifact_is_dropped(
        self, disk: DiskStore, root: Path, damage: Callable[[Path], object]
    ) -> None:
        artifact = put(disk, KEY, small=b"s" * 100, large=b"l" * LARGE_BYTES)
        assert disk.lookup(KEY)
        damage(artifact)
        assert disk.lookup(KEY) is None
        assert not artifact.exists()
        assert list((root / "tmp").iterdir()) == []
        assert put(disk, KEY, small=b"again") == disk.lookup(KEY)

    def test_flipped_bits_of_the_index_are_noticed(self, disk: DiskStore) -> None:
        artifact = put(disk, KEY)
        length = len((artifact / INDEX).read_bytes())
        for position in range(0, length, 5):
            content = bytearray((artifact / INDEX).read_bytes())
            content[position] ^= 1 << random.Random(position).randrange(8)
            (artifact / INDEX).write_bytes(content)
            assert disk.lookup(KEY) is None
            put(disk, KEY)

    def test_something_else_at_the_artifacts_place_is_dropped(
        self, disk: DiskStore, root: Path
    ) -> None:
        place = root / "artifacts" / KEY[:2] / KEY
        place.parent.mkdir(parents=True)
        place.symlink_to(root)
        assert disk.lookup(KEY) is None
        place.write_text("a file")
        assert put(disk, KEY) == disk.lookup(KEY)

    def test_a_damaged_artifact_does_not_keep_a_whole_one_out(self, disk: DiskStore) -> None:
        artifact = put(disk, KEY, file=b"first")
        _flip(artifact / "file")
        assert (put(disk, KEY, file=b"again") / "file").read_bytes() == b"again"


class TestArtifacts:
    def test_are_read_only_and_keep_what_may_be_run(self, disk: DiskStore) -> None:
        with disk.stage() as staged:
            (staged / "run").touch(0o700)
            (staged / "text").touch(0o600)
            artifact = disk.commit(KEY, staged)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in artifact.iterdir()}
        assert (modes["run"], modes["text"]) == (0o555, 0o444)

    @pytest.mark.parametrize("kind", ["link", "fifo"])
    def test_hold_plain_files_only(self, disk: DiskStore, kind: str) -> None:
        with pytest.raises(BuildFailed) as caught, disk.stage() as staged:
            if kind == "link":
                (staged / "odd").symlink_to("/etc/passwd")
            else:
                os.mkfifo(staged / "odd")
            disk.commit(KEY, staged)
        assert caught.value.reason == "odd-artifact"
        assert disk.lookup(KEY) is None

    def test_large_files_are_not_read_at_each_lookup(
        self, disk: DiskStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(disk, KEY, large=bytes(LARGE_BYTES))
        monkeypatch.setattr(DigestMemo, "remember", _must_not_happen)
        assert disk.lookup(KEY)

    def test_are_shared_with_other_stores_on_the_same_root(
        self, disk: DiskStore, root: Path
    ) -> None:
        artifact = put(disk, KEY, large=bytes(LARGE_BYTES))
        assert DiskStore(root).lookup(KEY) == artifact


def _must_not_happen(*args: object) -> None:
    pytest.fail(f"a file was read: {args}")


def _age(artifact: Path, seconds: int) -> None:
    os.utime(artifact / INDEX, (seconds, seconds))


class TestCleaning:
    """Artifacts are put by a store that is gone, as if by an earlier build."""

    @pytest.fixture(autouse=True)
    def earlier(self, root: Path) -> None:
        earlier = DiskStore(root)
        for seconds, key in enumerate((KEY, OTHER, THIRD)):
            _age(put(earlier, key, file=bytes(1000)), seconds + 1)

    def test_info_measures(self, disk: DiskStore) -> None:
        info = disk.info()
        assert info.entries == 3
        assert info.size_bytes > 3000
        assert (info.oldest_use_ns, info.newest_use_ns) == (1_000_000_000, 3_000_000_000)

    def test_least_recently_used_go_first(self, disk: DiskStore, root: Path) -> None:
        assert DiskStore(root).lookup(KEY)  # used now, by a process that is gone again
        each = disk.info().size_bytes // 3
        cleaned = disk.clean(max_size_bytes=2 * each + 10)
        assert (cleaned.removed_entries, cleaned.kept_entries) == (1, 2)
        assert cleaned.kept_bytes <= 2 * each + 10
        assert (disk.lookup(OTHER), bool(disk.lookup(KEY)), bool(disk.lookup(THIRD))) == (
            None,
            True,
            True,
        )

    def test_everything_goes_on_demand(self, disk: DiskStore, root: Path) -> None:
        (root / "zig").mkdir()
        (root / "zig" / "libc.a").write_bytes(b"kept between jobs")
        cleaned = disk.clean(all=True)
        assert (cleaned.removed_entries, cleaned.kept_entries) == (4, 0)
        assert disk.info().entries == 0
        assert list((root / "tmp").iterdir()) == []
        assert not (root / "zig").exists()

    def test_what_a_process_uses_stays(self, disk: DiskStore, root: Path) -> None:
        user = DiskStore(root)
        assert user.lookup(OTHER)
        cleaned = disk.clean(all=True)
        assert (cleaned.removed_entries, cleaned.in_use_entries) == (2, 1)
        assert user.lookup(OTHER)

    def test_what_another_process_uses_stays_until_it_dies(
        self, disk: DiskStore, root: Path
    ) -> None:
        with _other_process(root, f"store.lookup({OTHER!r}); say('using'); wait()") as user:
            assert user.hears("using")
            assert disk.clean(all=True).in_use_entries == 1
        assert disk.clean(all=True).removed_entries == 1

    def test_a_commit_after_cleaning_is_whole(self, disk: DiskStore) -> None:
        disk.clean(all=True)
        assert put(disk, KEY) == disk.lookup(KEY)

    def test_without_a_limit_only_leftovers_go(self, disk: DiskStore, root: Path) -> None:
        with disk.lock(KEY, NEVER):
            pass
        assert disk.clean().removed_entries == 0
        assert list((root / "locks").glob("*.lock")) == []

    def test_a_held_lock_outlives_cleaning(self, disk: DiskStore, root: Path) -> None:
        cancel = threading.Event()
        cancel.set()
        with held(disk):
            disk.clean(all=True)
            with pytest.raises(Interrupted), DiskStore(root).lock(KEY, cancel):
                pytest.fail("got a lock that is held")


class _Other:
    """Another Python process with a store of its own on the same root."""

    def __init__(self, root: Path, program: str) -> None:
        text = f"""
import sys, threading
from pathlib import Path
from builder.effects.store import DiskStore
def say(word): print(word, flush=True)
def wait(): sys.stdin.read()
store = DiskStore(Path({str(root)!r}))
{program}
"""
        self.process = subprocess.Popen(
            (sys.executable, "-c", text),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hears(self, word: str) -> bool:
        assert self.process.stdout
        return self.process.stdout.readline() == f"{word}\n"

    def __enter__(self) -> _Other:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


_other_process = _Other

COMMIT_FOREVER = """
say('ready')
number = 0
while True:
    with store.stage() as staged:
        for name in range(8):
            (staged / str(name)).write_bytes(bytes(20_000))
        (staged / 'below').mkdir()
        (staged / 'below' / 'large').write_bytes(bytes(2_000_000))
        store.commit(f'{number:064x}', staged)
    number += 1
"""


class TestDeath:
    @pytest.mark.slow
    def test_whenever_a_committer_is_killed_artifacts_are_whole_or_absent(self, root: Path) -> None:
        chance = random.Random(7)
        whole = 0
        for _ in range(20):
            with _other_process(root, COMMIT_FOREVER) as committer:
                assert committer.hears("ready")
                time.sleep(chance.uniform(0.0, 0.15))
            found = list((root / "artifacts").glob("??/*"))
            store = DiskStore(root)
            assert [store.lookup(path.name) for path in found] == found
            assert all(len(list(path.rglob("*"))) == 11 for path in found)
            whole += len(found)
            store.clean(all=True)
            store.sweep()
            assert list((root / "tmp").iterdir()) == []
            del store
            DiskStore(root).clean(all=True)
        assert whole

    def test_a_lock_is_free_when_its_holder_is_killed(self, disk: DiskStore, root: Path) -> None:
        hold = f"with store.lock({KEY!r}, threading.Event()): say('held'); wait()"
        cancel = threading.Event()
        with _other_process(root, hold) as holder:
            assert holder.hears("held")
            cancel.set()
            with pytest.raises(Interrupted), disk.lock(KEY, cancel):
                pytest.fail("got a lock that is held")
        with disk.lock(KEY, NEVER):
            pass

    def test_the_next_stage_removes_what_a_killed_process_left(
        self, disk: DiskStore, root: Path
    ) -> None:
        half = "with store.stage() as staged: (staged / 'half').touch(); say('staged'); wait()"
        with _other_process(root, half) as dead:
            assert dead.hears("staged")
        assert list((root / "tmp").glob("*/half"))
        with disk.stage() as staged:
            assert list((root / "tmp").glob("*/half")) == []
            assert staged.exists()

    def test_concurrent_committers_of_one_key_agree(self, disk: DiskStore, root: Path) -> None:
        commit = f"""
with store.stage() as staged:
    (staged / 'file').write_bytes(bytes(100_000))
    say('staged')
    wait()
    store.commit({KEY!r}, staged)
    say('committed')
"""
        with _other_process(root, commit) as one, _other_process(root, commit) as two:
            for process in (one, two):
                assert process.hears("staged")
            for process in (one, two):
                assert process.process.stdin
                process.process.stdin.close()
                process.process.stdin = None
            assert one.hears("committed")
            assert two.hears("committed")
        artifact = disk.lookup(KEY)
        assert artifact
        assert (artifact / "file").stat().st_size == 100_000


class TestRefusals:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        mounted = tmp_path / "mounted"
        mounted.mkdir()
        mount = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mounted))
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small tmpfs needs root")
        yield mounted
        subprocess.run(("umount", "-l", str(mounted)), check=True)

    def test_a_full_disk_leaves_nothing_half_written(self, small_disk: Path) -> None:
        store = DiskStore(small_disk)
        put(store, OTHER)
        with pytest.raises(BuildFailed) as caught, store.stage() as staged:
            with pytest.raises(OSError) as full:
                (staged / "large").write_bytes(bytes(2 << 20))
            assert full.value.errno == errno.ENOSPC
            store.commit(KEY, staged)
        assert caught.value.reason == "disk-full"
        assert caught.value.remedy
        assert store.lookup(KEY) is None
        assert store.lookup(OTHER)
        assert list((small_disk / "tmp").iterdir()) == []

    def test_a_read_only_disk_says_so(self, small_disk: Path) -> None:
        store = DiskStore(small_disk / "cache")
        subprocess.run(("mount", "-o", "remount,ro", str(small_disk)), check=True)
        for use in (store.stage(), store.lock(KEY, NEVER)):
            with pytest.raises(BuildFailed) as caught, use:
                pytest.fail("wrote to a read-only disk")
            assert caught.value.reason == "cache-unwritable"

    def test_a_file_in_the_roots_place_says_so(self, root: Path) -> None:
        root.write_text("a file")
        with pytest.raises(BuildFailed) as caught, DiskStore(root).stage():
            pytest.fail("staged in a file")
        assert (caught.value.reason, caught.value.exit_code) == ("cache-unwritable", 4)
        assert caught.value.where


def _remember(root: Path) -> None:
    stamp = Stamp(size_bytes=1, mtime_ns=1, ctime_ns=1, inode=1)
    DigestMemo(root / "memo").remember("sha256", root / "model", stamp, "fact")
    assert (root / "memo").is_dir()


def _remember_parsed(root: Path) -> None:
    assert ParsedValues(root, parser="1").get(int, "text", lambda: 7) == 7
    assert (root / "memo" / "parsed").is_dir()


MAKERS_OF_A_CACHE: dict[str, Callable[[Path], object]] = {
    "store": lambda root: put(DiskStore(root), KEY),
    "memo": _remember,
    "parsed": _remember_parsed,
    "in-use": lambda root: InUse(root / "locks").note(KEY),
    "clean": lambda root: DiskStore(root).clean(all=True),
}


@pytest.mark.parametrize("first", MAKERS_OF_A_CACHE)
def test_what_is_cached_is_nobody_elses_business(tmp_path: Path, first: str) -> None:
    before = os.umask(0)
    try:
        root = tmp_path / "cache"
        MAKERS_OF_A_CACHE[first](root)
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o1777, 0o2775, 0o755, 0o700])
def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(mode)
    for make in MAKERS_OF_A_CACHE.values():
        make(root)
    assert stat.S_IMODE(root.stat().st_mode) == mode
