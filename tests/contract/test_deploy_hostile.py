"""Boards that are full, read-only, booby-trapped, or that answer nonsense."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.boards.lock import hold
from builder.boards.survey import probe, take_stock
from builder.effects.local_board import LocalBoard
from builder.errors import BoardwrightError, DeviceLost, DeviceRefused, IntegrityError
from builder.model.deployed import Reached
from builder.model.device import Completed
from tests.bundles import FAILS, make_bundle, some_weights
from tests.contract.boards import Bench
from tests.userlands import Userland, board_on, make_userland

MIB = 1 << 20


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "board").mkdir()
    return Bench(make_userland("busybox", tmp_path / "board"), tmp_path / "board" / "root")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount tmpfs file systems with options for the time of a test."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        place = tmp_path / f"mounted{len(mounted)}"
        place.mkdir()
        command = ("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a tmpfs needs root")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(("umount", "-l", str(place)), check=True)


def refused(bench: Bench, tmp_path: Path, **bundle: object) -> BoardwrightError:
    """Deploy a bundle that the board must refuse, and return why."""
    made = make_bundle(tmp_path / "refused", "new", **bundle)  # type: ignore[arg-type]
    with pytest.raises(DeviceRefused) as caught:
        bench.deploy(made)
    assert caught.value.exit_code == 7
    return caught.value


class TestDisk:
    def test_too_small_is_told_before_a_byte_is_sent(
        self, bench: Bench, tmp_path: Path, mount: Callable[[str], Path]
    ) -> None:
        on_small = Bench(bench.watched, mount("size=3m") / "root")
        error = refused(on_small, tmp_path, weights=some_weights(4 * MIB))
        assert error.reason == "no-space"
        assert error.details["needed_bytes"] > error.details["free_bytes"]
        assert on_small.watched.put_bytes == 0

    @pytest.mark.parametrize("left_bytes", [0, MIB, 2 * MIB])
    def test_filling_up_meanwhile_leaves_the_old_release(
        self, bench: Bench, tmp_path: Path, mount: Callable[[str], Path], left_bytes: int
    ) -> None:
        place = mount("size=12m")
        on_small = Bench(bench.watched, place / "root")
        weights = some_weights(3 * MIB)
        on_small.deploy(make_bundle(tmp_path / "old", "old", weights=weights))

        def fill(_: str) -> None:
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
            (place / "full").write_bytes(bytes(max(0, free - left_bytes)))

        on_small.watched.before_put = fill
        # Another beginning: a copy of what is there needs its room on arrival, not on the link.
        error = refused(on_small, tmp_path, weights=weights[:100] + b"x" + weights[100:])
        assert error.reason == "no-space"
        assert on_small.runs == "old"
        (place / "full").unlink()
        on_small.watched.before_put = lambda _: None
        on_small.deploy(make_bundle(tmp_path / "new", "new", weights=b"x" + weights))
        assert on_small.runs == "new"

    def test_what_has_arrived_needs_no_room_again(
        self, bench: Bench, tmp_path: Path, mount: Callable[[str], Path]
    ) -> None:
        on_small = Bench(bench.watched, mount("size=6m") / "root")
        bundle = make_bundle(tmp_path / "new", "new", weights=some_weights(4 * MIB))
        on_small.watched.cut_after_bytes = 3 * MIB
        with pytest.raises(DeviceLost):
            on_small.deploy(bundle)
        on_small.watched.cut_after_bytes = None
        assert on_small.deploy(bundle).resumed_bytes >= 2 * MIB
        assert on_small.runs == "new"

    def test_what_others_have_begun_makes_room(
        self, bench: Bench, tmp_path: Path, mount: Callable[[str], Path]
    ) -> None:
        on_small = Bench(bench.watched, mount("size=6m") / "root")
        other = make_bundle(tmp_path / "other", "other", weights=some_weights(4 * MIB, seed=1))
        on_small.watched.cut_after_bytes = 2 * MIB
        with pytest.raises(DeviceLost):
            on_small.deploy(other)
        on_small.watched.cut_after_bytes = None
        (on_small.root / "releases/.gone-x").mkdir()
        for scrap in ("store/.new-x", "releases/.gone-x/file"):
            (on_small.root / scrap).write_bytes(bytes(MIB // 2))
        bundle = make_bundle(tmp_path / "new", "new", weights=some_weights(4 * MIB))
        on_small.deploy(bundle)
        assert on_small.runs == "new"
        assert not list(on_small.root.glob("*/.*"))

    def test_room_is_looked_at_once_the_board_is_ours(
        self, bench: Bench, tmp_path: Path, mount: Callable[[str], Path]
    ) -> None:
        place = mount("size=6m")
        on_small = Bench(bench.watched, place / "root")

        def fill(event: object) -> None:
            if isinstance(event, Reached) and event.stage == "lock":
                (place / "full").write_bytes(bytes(4 * MIB))

        bundle = make_bundle(tmp_path / "new", "new", weights=some_weights(3 * MIB))
        with pytest.raises(DeviceRefused) as caught:
            on_small.deploy(bundle, listen=fill)
        assert caught.value.reason == "no-space"
        assert on_small.watched.put_bytes == 0

    def test_going_back_needs_no_room(
        self, bench: Bench, tmp_path: Path, mount: Callable[[str], Path]
    ) -> None:
        on_small = Bench(bench.watched, mount("size=12m,nr_inodes=200") / "root")
        on_small.deploy(make_bundle(tmp_path / "old", "old"))
        # A check that takes every last name that the disk can hold, and fails.
        fill = 'i=0; while true > "$here/../../../f$i"; do i=$((i + 1)); done 2> /dev/null'
        fault = f"case $0 in *current*) {fill}; {FAILS} ;; esac"
        with pytest.raises(IntegrityError) as caught:
            on_small.deploy(make_bundle(tmp_path / "new", "new", fault=fault))
        assert on_small.runs == "old"
        assert (caught.value.state or "").endswith("again")

    def test_a_board_that_cannot_go_back_says_what_it_runs(
        self, bench: Bench, tmp_path: Path, mount: Callable[[str], Path]
    ) -> None:
        place = mount("size=12m")
        on_small = Bench(LocalBoard(), place / "root")
        on_small.deploy(make_bundle(tmp_path / "old", "old"))
        fault = f"case $0 in *current*) mount -o remount,ro {place}; {FAILS} ;; esac"
        with pytest.raises(IntegrityError) as caught:
            on_small.deploy(make_bundle(tmp_path / "new", "new", fault=fault))
        subprocess.run(("mount", "-o", "remount,rw", place), check=True)
        assert on_small.runs == "new"
        assert f"still runs {(on_small.root / 'current').readlink().name}" in str(caught.value)

    @pytest.mark.parametrize(("option", "reason"), [("ro", "read-only"), ("noexec", "no-exec")])
    def test_mounts_that_cannot_serve(
        self,
        bench: Bench,
        tmp_path: Path,
        mount: Callable[[str], Path],
        option: str,
        reason: str,
    ) -> None:
        on_mount = Bench(bench.watched, mount(option) / "root")
        assert refused(on_mount, tmp_path).reason == reason
        assert on_mount.watched.put_bytes == 0

    def test_a_file_in_the_roots_place(self, bench: Bench, tmp_path: Path) -> None:
        bench.root.write_text("a file")
        assert refused(bench, tmp_path).reason in ("no-folder", "failed")


class TestPlantedLinks:
    @pytest.mark.parametrize("place", ["", "store", "releases", "locks", "results"])
    def test_in_place_of_a_folder(self, bench: Bench, tmp_path: Path, place: str) -> None:
        if place:
            bench.deploy(make_bundle(tmp_path / "old", "old"))
        (victim := tmp_path / "victim").mkdir()
        planted = bench.root / place
        if place:
            planted.rename(tmp_path / "aside")
        planted.symlink_to(victim)
        assert refused(bench, tmp_path).reason == "planted-link"
        assert not list(victim.iterdir())

    def test_in_place_of_a_folder_of_another_user(self, bench: Bench, tmp_path: Path) -> None:
        if os.geteuid():
            pytest.skip("giving a folder away needs root")
        bench.root.mkdir()
        os.chown(bench.root, 12345, 12345)
        assert refused(bench, tmp_path).reason == "foreign-folder"

    @pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777])
    @pytest.mark.parametrize("which", ["root", "above"])
    def test_a_folder_that_others_may_change(
        self, bench: Bench, tmp_path: Path, which: str, mode: int
    ) -> None:
        folder = bench.root if which == "root" else bench.root.parent
        folder.mkdir(parents=True, exist_ok=True)
        before = folder.stat().st_mode
        folder.chmod(mode)
        try:
            if mode & 0o1000:
                bench.deploy(make_bundle(tmp_path / "mine", "new"))
            else:
                assert refused(bench, tmp_path).reason == "exposed-folder"
        finally:
            folder.chmod(before & 0o7777)

    def test_links_lead_to_no_folder_that_is_not_judged(self, bench: Bench, tmp_path: Path) -> None:
        (real := tmp_path / "real" / "home").mkdir(parents=True)
        real.parent.chmod(0o777)
        (tmp_path / "home").symlink_to(real)
        behind = Bench(bench.watched, tmp_path / "home" / "root")
        error = refused(behind, tmp_path)
        assert error.reason == "exposed-folder"
        assert str(real.parent) in error.what

    def test_whose_folders_are_safe_is_known_without_id(self, tmp_path: Path) -> None:
        bare = Bench(make_userland("bare", tmp_path), tmp_path / "open" / "root")
        bare.root.parent.mkdir()
        bare.root.parent.chmod(0o777)
        assert refused(bare, tmp_path).reason == "exposed-folder"

    def test_a_folder_that_others_may_change_can_be_allowed(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        bench.root.mkdir()
        bench.root.chmod(0o775 if os.getgid() else 0o777)
        bench.board = replace(bench.board, allow_exposed=True)
        bench.deploy(make_bundle(tmp_path / "mine", "new"))
        assert bench.runs == "new"

    def test_what_is_brought_is_nobody_elses_business(self, bench: Bench, tmp_path: Path) -> None:
        bench.deploy(make_bundle(tmp_path / "mine", "new"))
        for name in ("store", "releases", "locks", "results"):
            assert (bench.root / name).stat().st_mode & 0o077 == 0

    def test_folders_that_are_there_keep_their_modes(self, bench: Bench, tmp_path: Path) -> None:
        bench.deploy(make_bundle(tmp_path / "old", "old"))
        there = [bench.root, *(bench.root / name for name in ("store", "releases", "results"))]
        for folder in there:
            folder.chmod(0o755)
        bench.deploy(make_bundle(tmp_path / "new", "new"))
        assert {folder.stat().st_mode & 0o777 for folder in there} == {0o755}
        newest = (bench.root / "current").resolve()
        assert newest.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("end", ["", "/"])
    def test_folders_above_the_root_are_no_secret(
        self, bench: Bench, tmp_path: Path, end: str
    ) -> None:
        above = bench.root / "vendor" / "product"
        board = replace(bench.board, root=f"{above}/bundles{end}")
        with hold(board, "anna@lab", wait_s=0, on_wait=lambda _: None):
            modes = [p.stat().st_mode & 0o777 for p in (above.parent, above, above / "bundles")]
        assert modes == [0o755, 0o755, 0o700]

    def test_in_place_of_an_object(self, bench: Bench, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "refused", "new")
        bench.deploy(make_bundle(tmp_path / "old", "old"))
        (victim := tmp_path / "victim").write_text("mine")
        for file in bundle.files:
            (bench.root / "store" / file.sha256).unlink(missing_ok=True)
            (bench.root / "store" / file.sha256).symlink_to(victim)
        assert refused(bench, tmp_path).reason == "planted-link"
        assert victim.read_text() == "mine"
        assert bench.runs == "old"

    def test_in_place_of_an_upload_or_a_new_object(self, bench: Bench, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "refused", "new", weights=some_weights(MIB))
        bench.deploy(make_bundle(tmp_path / "old", "old"))
        (victim := tmp_path / "victim").write_text("mine")
        for file in bundle.files:
            for prefix in (".part-", ".new-"):
                (bench.root / "store" / (prefix + file.sha256)).symlink_to(victim)
        assert refused(bench, tmp_path).reason == "planted-link"
        assert victim.read_text() == "mine"

    def test_that_appears_while_sending(self, bench: Bench, tmp_path: Path) -> None:
        (victim := tmp_path / "victim").write_text("mine")
        bench.watched.before_put = lambda path: Path(path).symlink_to(victim)
        assert refused(bench, tmp_path).reason == "planted-link"
        assert victim.read_text() == "mine"

    @pytest.mark.parametrize(
        "target", ["/etc", "../outside", "releases/../..", "releases/.hidden", "releases"]
    )
    def test_in_place_of_current(self, bench: Bench, tmp_path: Path, target: str) -> None:
        bench.deploy(make_bundle(tmp_path / "old", "old"))
        (bench.root / "current").unlink()
        (bench.root / "current").symlink_to(target)
        assert refused(bench, tmp_path).reason == "planted-link"

    def test_a_folder_in_place_of_current(self, bench: Bench, tmp_path: Path) -> None:
        (bench.root / "current").mkdir(parents=True)
        for folder in ("store", "releases", "locks", "results"):
            (bench.root / folder).mkdir()
        assert refused(bench, tmp_path).reason == "planted-link"


class Speaking(Userland):
    """A board that says something else than its scripts do."""

    def __init__(self, home: Path, change: Callable[[bytes], bytes]) -> None:
        super().__init__(None, home)
        self._change = change

    def run(self, command, **options):  # type: ignore[no-untyped-def]
        done = super().run(command, **options)
        return Completed(status=done.status, stdout=self._change(done.stdout), stderr=done.stderr)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\xff\x00\x1b[2J" * 1000,
        lambda said: said.replace(b"nonce", b"other"),
        lambda said: said.rpartition(b"nonce")[0],
        lambda said: said.replace(b" place /", b" place ../"),
        lambda said: said.replace(b" root /", b" root \x1b"),
    ],
)
def test_nonsense_is_called_that(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    board = board_on(Speaking(tmp_path, change), tmp_path / "root")
    with pytest.raises(DeviceLost) as caught:
        probe(board)
    assert caught.value.reason == "garbled-output"
    assert str(caught.value).isprintable()


def test_a_banner_before_and_after_does_not_matter(tmp_path: Path) -> None:
    def add(said: bytes) -> bytes:
        return b"Welcome!\nnonce end\n" + said + b"\nlogout\n"

    board = board_on(Speaking(tmp_path, add), tmp_path / "root")
    assert probe(board).machine
    assert take_stock(board).releases == ()


def test_control_characters_of_a_board_do_not_reach_anyone(tmp_path: Path) -> None:
    def colour(said: bytes) -> bytes:
        return said.replace(b" kernel ", b" kernel \x1b[31m\xe2\x80\xae")

    kernel = probe(board_on(Speaking(tmp_path, colour), tmp_path / "root")).kernel
    assert kernel.isascii()
    assert kernel.isprintable()
