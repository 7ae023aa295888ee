"""What an output folder promises, on the fake and on disk; and what only a disk can suffer."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder.effects.digest_memo import DigestMemo
from builder.effects.publish import Publisher
from builder.errors import BuildFailed, UsageError
from builder.executor.execute import Publisher as PublisherPort
from builder.model.artifact import Sizes
from builder.model.receipt import NOT_VERIFIED, BundleRef, Receipt
from tests.fakes import FakePublisher

REPOSITORY = Path(__file__).parents[2]
MODEL, TARGET, KEY, OTHER = "mnist", "jetson-nano", "a" * 64, "b" * 64
SIZES = Sizes(library=1, weights=2, archive=3, runner=4)


def a_receipt(publisher: PublisherPort, *, key: str = KEY, target: str = TARGET) -> Receipt:
    bundle = publisher.bundle_path(MODEL, target)
    return Receipt(
        status="ok",
        model=MODEL,
        target=target,
        key=key,
        keys=(("Assemble", key),),
        versions=(),
        bundle=BundleRef(path=str(bundle), sha256="c" * 64),
        verify=NOT_VERIFIED,
        cache="miss",
        seconds=1.5,
        sizes=SIZES,
        error=None,
    )


def a_failure(publisher: PublisherPort) -> Receipt:
    error = BuildFailed("no", reason="payload-died").to_json()
    return dataclasses.replace(
        a_receipt(publisher), status="failed", bundle=None, sizes=None, error=error
    )


@pytest.fixture
def assembled(tmp_path: Path) -> Path:
    artifact = tmp_path / "artifact"
    (artifact / "bundle" / "bin").mkdir(parents=True)
    (artifact / "bundle" / "bin" / "run").write_bytes(b"\x7fELF")
    (artifact / "bundle" / "bin" / "run").chmod(0o555)
    (artifact / "bundle" / "weights.bin").write_bytes(os.urandom(2_000_000))
    (artifact / "bundle" / "weights.bin").chmod(0o444)
    (artifact / "bundle.tar.gz").write_bytes(b"archive")
    (artifact / "assembly.json").write_text("{}")
    return artifact


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dist"


@pytest.fixture
def place(out: Path) -> Path:
    return out / MODEL / TARGET


@pytest.fixture
def memo(tmp_path: Path) -> DigestMemo:
    return DigestMemo(tmp_path / "memo")


@pytest.fixture
def disk(out: Path, memo: DigestMemo) -> Publisher:
    return Publisher(out, memo)


@pytest.fixture(params=["fake", "disk"])
def publisher(request: pytest.FixtureRequest, disk: Publisher) -> PublisherPort:
    return FakePublisher() if request.param == "fake" else disk


class TestEveryPublisher:
    def test_has_nothing_at_first(self, publisher: PublisherPort) -> None:
        assert publisher.is_current(MODEL, TARGET, KEY) is None

    def test_gives_back_the_receipt_of_the_key(
        self, publisher: PublisherPort, assembled: Path
    ) -> None:
        receipt = a_receipt(publisher)
        publisher.publish(receipt, assembled)
        assert publisher.is_current(MODEL, TARGET, KEY) == receipt
        assert publisher.is_current(MODEL, TARGET, OTHER) is None
        assert publisher.is_current(MODEL, "other-board", KEY) is None

    def test_replaces(self, publisher: PublisherPort, assembled: Path) -> None:
        publisher.publish(a_receipt(publisher), assembled)
        publisher.publish(a_receipt(publisher, key=OTHER), assembled)
        assert publisher.is_current(MODEL, TARGET, KEY) is None
        assert publisher.is_current(MODEL, TARGET, OTHER)

    def test_updates_a_receipt(self, publisher: PublisherPort, assembled: Path) -> None:
        publisher.publish(a_receipt(publisher), assembled)
        hit = dataclasses.replace(a_receipt(publisher), cache="hit", seconds=0.1)
        publisher.update_receipt(hit)
        assert publisher.is_current(MODEL, TARGET, KEY) == hit

    def test_a_failure_is_not_current(self, publisher: PublisherPort) -> None:
        publisher.publish_failure(a_failure(publisher))
        assert publisher.is_current(MODEL, TARGET, KEY) is None


class TestLayout:
    def test_is_as_documented(self, disk: Publisher, assembled: Path, place: Path) -> None:
        assert disk.publish(a_receipt(disk), assembled) == place
        found = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
        assert found == {
            "receipt.json",
            "mnist-jetson-nano.tar.gz",
            "bundle/bin/run",
            "bundle/weights.bin",
        }
        assert list(place.parent.iterdir()) == [place]
        receipt = json.loads((place / "receipt.json").read_text())
        assert receipt.items() >= a_receipt(disk).to_json().items()

    def test_modes_do_not_depend_on_the_umask(
        self, disk: Publisher, assembled: Path, place: Path
    ) -> None:
        umask = os.umask(0o077)
        try:
            disk.publish(a_receipt(disk), assembled)
        finally:
            os.umask(umask)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.rglob("*")}
        assert {modes["run"], modes["bin"], modes["bundle"]} == {0o755}
        assert {modes["weights.bin"], modes["receipt.json"]} == {0o644}
        assert stat.S_IMODE(place.stat().st_mode) == 0o755

    def test_nothing_is_shared_with_the_cache(
        self, disk: Publisher, assembled: Path, place: Path
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        (place / "bundle" / "bin" / "run").write_bytes(b"edited")
        assert (assembled / "bundle" / "bin" / "run").read_bytes() == b"\x7fELF"

    @pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../x", "a\0b", ".hidden", "a\nb"])
    def test_a_name_cannot_lead_elsewhere(self, disk: Publisher, name: str) -> None:
        for names in ((name, TARGET), (MODEL, name)):
            with pytest.raises(UsageError) as caught:
                disk.bundle_path(*names)
            assert caught.value.reason == "unsafe-name"


def _link(path: Path) -> None:
    path.rename(path.with_name("w"))
    path.symlink_to("w")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda place: (place / "bundle" / "bin" / "run").write_bytes(b"\x7fELf"),
    "a file less": lambda place: (place / "bundle" / "weights.bin").unlink(),
    "archive less": lambda place: (place / "mnist-jetson-nano.tar.gz").unlink(),
    "not executable": lambda place: (place / "bundle" / "bin" / "run").chmod(0o644),
    "a link": lambda place: _link(place / "bundle" / "weights.bin"),
    "no receipt": lambda place: (place / "receipt.json").unlink(),
    "half a receipt": lambda place: os.truncate(place / "receipt.json", 100),
    "an odd receipt": lambda place: (place / "receipt.json").write_text("[]"),
    "another receipt": lambda place: (place / "receipt.json").write_text('{"bundle": 1}'),
    "moved away": lambda place: place.rename(place.parent / "raspberry-pi-4"),
}


class TestCurrent:
    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
    def test_what_was_changed_is_published_again(
        self, disk: Publisher, assembled: Path, place: Path, change: Callable[[Path], object]
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        change(place)
        assert disk.is_current(MODEL, TARGET, KEY) is None
        disk.publish(a_receipt(disk), assembled)
        assert disk.is_current(MODEL, TARGET, KEY) == a_receipt(disk)

    def test_reads_no_bundle_file_to_know(
        self, disk: Publisher, assembled: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        monkeypatch.setattr(DigestMemo, "remember", _must_not_happen)
        assert disk.is_current(MODEL, TARGET, KEY)

    def test_knows_without_a_memo(self, disk: Publisher, assembled: Path, tmp_path: Path) -> None:
        disk.publish(a_receipt(disk), assembled)
        shutil.rmtree(tmp_path / "memo")
        assert disk.is_current(MODEL, TARGET, KEY)

    def test_files_of_others_do_not_count(
        self, disk: Publisher, assembled: Path, place: Path
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        (place / "bundle" / "__pycache__").mkdir()
        (place / "notes.txt").touch()
        assert disk.is_current(MODEL, TARGET, KEY)

    def test_a_moved_output_folder_is_published_again(
        self, disk: Publisher, assembled: Path, out: Path, memo: DigestMemo
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        out.rename(out.with_name("moved"))
        assert Publisher(out.with_name("moved"), memo).is_current(MODEL, TARGET, KEY) is None


class TestFailure:
    def test_leaves_the_last_good_bundle_as_it_is(
        self, disk: Publisher, assembled: Path, place: Path
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        (place / "deploy-pi.json").write_text("{}")
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        good = before.pop(place / "receipt.json")
        for _ in range(2):
            disk.publish_failure(a_failure(disk))
        after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        assert json.loads(after.pop(place / "receipt.json"))["status"] == "failed"
        assert after == before | {place / "last-good.json": good}

    def test_is_told_which_bundle_lies_there(self, disk: Publisher, assembled: Path) -> None:
        assert disk.last_good(MODEL, TARGET) is None
        disk.publish(a_receipt(disk), assembled)
        good = disk.last_good(MODEL, TARGET)
        assert good is not None
        assert (good.sha256, good.key) == ("c" * 64, KEY)
        assert good.path == str(disk.bundle_path(MODEL, TARGET))
        disk.publish_failure(dataclasses.replace(a_failure(disk), last_good=good))
        assert disk.last_good(MODEL, TARGET) == good

    def test_is_forgotten_when_the_same_bundle_is_asked_for_again(
        self, disk: Publisher, assembled: Path, place: Path, tmp_path: Path
    ) -> None:
        evidence = tmp_path / "evidence"
        evidence.mkdir()
        (evidence / "bisection.json").write_text("{}")
        disk.publish(a_receipt(disk), assembled)
        before = sorted(place.rglob("*"))
        disk.publish_failure(a_failure(disk), evidence)
        assert (place / "bisect" / "bisection.json").is_file()
        receipt = disk.is_current(MODEL, TARGET, KEY)
        assert receipt == a_receipt(disk)
        disk.update_receipt(receipt)
        assert sorted(place.rglob("*")) == before
        assert disk.is_current(MODEL, TARGET, KEY) == receipt

    def test_is_forgotten_when_another_bundle_is_published(
        self, disk: Publisher, assembled: Path, place: Path
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        disk.publish_failure(a_failure(disk))
        disk.publish(a_receipt(disk, key=OTHER), assembled)
        assert not (place / "last-good.json").exists()
        assert disk.is_current(MODEL, TARGET, OTHER)

    def test_of_a_build_without_evidence_removes_the_old_evidence(
        self, disk: Publisher, place: Path, tmp_path: Path
    ) -> None:
        evidence = tmp_path / "evidence"
        evidence.mkdir()
        (evidence / "bisection.json").write_text("{}")
        disk.publish_failure(a_failure(disk), evidence)
        disk.publish_failure(a_failure(disk))
        assert [path.name for path in place.iterdir()] == ["receipt.json"]

    def test_that_cannot_be_written_leaves_no_receipt_that_says_all_is_well(
        self, disk: Publisher, assembled: Path, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk.publish(a_receipt(disk), assembled)
        monkeypatch.setattr("builder.effects.durable.write_synced", _disk_full)
        with pytest.raises(BuildFailed):
            disk.publish_failure(a_failure(disk))
        assert not (place / "receipt.json").exists()
        assert disk.is_current(MODEL, TARGET, KEY)


PUBLISH_FOREVER = """
import sys
from pathlib import Path
from builder.effects.digest_memo import DigestMemo
from builder.effects.publish import Publisher
from tests.contract.test_publish import KEY, OTHER, a_receipt
disk = Publisher(Path(sys.argv[1]), DigestMemo(Path(sys.argv[2])))
assembled = Path(sys.argv[3])
disk.publish(a_receipt(disk), assembled)
print("ready", flush=True)
while True:
    disk.publish(a_receipt(disk, key=OTHER), assembled)
    disk.publish(a_receipt(disk), assembled)
"""


class TestDeath:
    @pytest.mark.slow
    def test_whenever_a_publisher_is_killed_one_whole_result_lies_there(
        self, disk: Publisher, out: Path, place: Path, assembled: Path, tmp_path: Path
    ) -> None:
        chance = random.Random(7)
        for _ in range(10):
            arguments = (str(out), str(tmp_path / "memo"), str(assembled))
            process = subprocess.Popen(
                (sys.executable, "-c", PUBLISH_FOREVER, *arguments),
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
            )
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            current = [disk.is_current(MODEL, TARGET, key) for key in (KEY, OTHER)]
            assert len([receipt for receipt in current if receipt]) == 1
        disk.publish(a_receipt(disk), assembled)
        assert list(out.rglob(".*")) == []
        assert list(place.parent.iterdir()) == [place]


class TestRefusals:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        mounted = tmp_path / "mounted"
        mounted.mkdir()
        mount = ("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mounted))
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small tmpfs needs root")
        yield mounted
        subprocess.run(("umount", "-l", str(mounted)), check=True)

    def test_a_full_disk_keeps_the_old_result(
        self, small_disk: Path, assembled: Path, memo: DigestMemo
    ) -> None:
        disk = Publisher(small_disk, memo)
        disk.publish(a_receipt(disk), assembled)
        with pytest.raises(BuildFailed) as caught:
            disk.publish(a_receipt(disk, key=OTHER), assembled)
        assert caught.value.reason == "disk-full"
        assert disk.is_current(MODEL, TARGET, KEY)
        assert [path.name for path in (small_disk / MODEL).iterdir()] == [TARGET]

    def test_a_read_only_disk_says_so(
        self, small_disk: Path, assembled: Path, memo: DigestMemo
    ) -> None:
        subprocess.run(("mount", "-o", "remount,ro", str(small_disk)), check=True)
        disk = Publisher(small_disk / "dist", memo)
        with pytest.raises(BuildFailed) as caught:
            disk.publish(a_receipt(disk), assembled)
        assert caught.value.reason == "out-unwritable"

    def test_a_file_in_the_way_says_so(self, disk: Publisher, out: Path, assembled: Path) -> None:
        out.write_text("a file")
        with pytest.raises(BuildFailed) as caught:
            disk.publish(a_receipt(disk), assembled)
        assert (caught.value.reason, caught.value.exit_code) == ("out-unwritable", 4)


def _must_not_happen(*args: object) -> None:
    pytest.fail(f"a file was read: {args}")


def _disk_full(path: Path, content: bytes) -> None:
    raise OSError(28, f"no room for {len(content)} bytes", str(path))


@pytest.mark.parametrize(("private", "mode"), [(True, 0o700), (False, 0o755)])
def test_bundles_of_a_private_model_are_private(
    out: Path, memo: DigestMemo, assembled: Path, private: bool, mode: int
) -> None:
    disk = Publisher(out, memo, private=private)
    assert disk.publish(a_receipt(disk), assembled).stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("special", ["pipe", "device"])
def test_a_receipt_that_is_no_file_is_none(
    disk: Publisher, assembled: Path, place: Path, special: str
) -> None:
    disk.publish(a_receipt(disk), assembled)
    (place / "receipt.json").unlink()
    if special == "pipe":
        os.mkfifo(place / "receipt.json")
    else:
        (place / "receipt.json").symlink_to("/dev/zero")
    assert disk.is_current(MODEL, TARGET, KEY) is None
