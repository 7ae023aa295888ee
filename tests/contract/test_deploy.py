"""Deploying to boards with the tools of different userlands."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from builder.boards.rollback import roll_back
from builder.boards.survey import probe, take_stock
from builder.deploy.layout import Release
from builder.deploy.replies import lock_lost
from builder.errors import DeviceBusy, DeviceLost, DeviceRefused, IntegrityError, Interrupted
from builder.model.deployed import Reached
from tests.bundles import FAILS, FAILS_WHEN_CURRENT, make_bundle, some_weights
from tests.contract.boards import Bench
from tests.userlands import USERLANDS, make_userland, recording_sync

MIB = 1 << 20


@pytest.fixture(params=USERLANDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    (tmp_path / "board").mkdir()
    return Bench(make_userland(request.param, tmp_path / "board"), tmp_path / "board" / "root")


@pytest.fixture
def local(tmp_path: Path) -> Bench:
    (tmp_path / "board").mkdir()
    return Bench(make_userland("system", tmp_path / "board"), tmp_path / "board" / "root")


class TestEveryUserland:
    def test_a_first_and_a_second_bundle(self, bench: Bench, tmp_path: Path) -> None:
        old = make_bundle(tmp_path / "old", "old", extra=3)
        new = make_bundle(tmp_path / "new", "new", extra=4)
        first, second = bench.deploy(old), bench.deploy(new)
        assert bench.runs == "new"
        assert (first.previous, second.previous) == (None, first.release)
        assert bench.releases() == [old.id, new.id]
        assert second.reused_bytes > 0
        for bundle in (old, new):
            name = next((bench.root / "releases").glob(f"*{bundle.id}"))
            for file in bundle.files:
                assert (name / file.path).read_bytes() == (bundle.folder / file.path).read_bytes()
                assert bool((name / file.path).stat().st_mode & 0o100) == bool(file.mode & 0o100)

    def test_nothing_changed_sends_nothing(self, bench: Bench, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "b", "one", weights=some_weights(MIB))
        bench.deploy(bundle)
        bench.watched.calls.clear()
        again = bench.deploy(bundle)
        assert (again.changed, again.sent_bytes) == (False, 0)
        assert bench.watched.calls == {"run": 4}

    def test_one_changed_layer_is_what_is_sent(self, bench: Bench, tmp_path: Path) -> None:
        layer, before, after = MIB, some_weights(3 * MIB), some_weights(4 * MIB + 77, seed=1)
        old = before + some_weights(layer, seed=2) + after
        new = before + some_weights(layer, seed=3) + after
        bench.deploy(make_bundle(tmp_path / "old", "same", weights=old))
        sent = bench.deploy(make_bundle(tmp_path / "new", "same", weights=new)).sent_bytes
        assert layer <= sent <= 1.05 * layer + 4096  # and the manifest
        assert (bench.root / "current/share/weights.bin").read_bytes() == new

    def test_insertions_move_what_follows_and_nothing_is_sent_twice(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        weights = some_weights(2 * MIB)
        bench.deploy(make_bundle(tmp_path / "old", "same", weights=weights))
        longer = make_bundle(tmp_path / "new", "same", weights=b"more" * 9 + weights)
        assert bench.deploy(longer).sent_bytes < 150_000
        assert (bench.root / "current/share/weights.bin").read_bytes()[:4] == b"more"

    def test_a_cut_is_resumed_where_it_was(self, bench: Bench, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "b", "one", weights=some_weights(3 * MIB))
        bench.watched.cut_after_bytes = 2 * MIB
        with pytest.raises(DeviceLost) as caught:
            bench.deploy(bundle)
        assert caught.value.state == "what the board runs has not changed"
        assert not os.path.lexists(bench.root / "current")
        bench.watched.cut_after_bytes = None
        first = bench.watched.put_bytes
        done = bench.deploy(bundle)
        assert bench.runs == "one"
        assert done.resumed_bytes >= first - (64 << 10)
        assert first + done.sent_bytes <= 3 * MIB + (1 << 17)

    def test_what_fails_its_check_is_not_switched_to(self, bench: Bench, tmp_path: Path) -> None:
        bench.deploy(make_bundle(tmp_path / "old", "old"))
        with pytest.raises(IntegrityError) as caught:
            bench.deploy(make_bundle(tmp_path / "new", "new", fault=FAILS))
        assert caught.value.reason == "check-failed"
        assert "other numbers" in (caught.value.why or "")
        assert bench.runs == "old"

    def test_a_failed_check_after_the_switch_goes_back(self, bench: Bench, tmp_path: Path) -> None:
        bench.deploy(make_bundle(tmp_path / "old", "old"))
        with pytest.raises(IntegrityError) as caught:
            bench.deploy(make_bundle(tmp_path / "new", "new", fault=FAILS_WHEN_CURRENT))
        assert caught.value.reason == "check-failed"
        assert bench.runs == "old"
        assert bench.deploy(make_bundle(tmp_path / "third", "third")).changed
        assert roll_back(bench.board, "a", lambda _: None, wait_s=0, wanted=None)
        assert bench.runs == "old"

    def test_the_first_release_that_fails_leaves_none(self, bench: Bench, tmp_path: Path) -> None:
        with pytest.raises(IntegrityError):
            bench.deploy(make_bundle(tmp_path / "b", "one", fault=FAILS_WHEN_CURRENT))
        assert not os.path.lexists(bench.root / "current")

    def test_a_link_that_leads_nowhere_is_none(self, bench: Bench, tmp_path: Path) -> None:
        first = bench.deploy(make_bundle(tmp_path / "old", "old"))
        (bench.root / "current").unlink()
        (bench.root / "current").symlink_to("releases/00000099-toy-0123456789abcdef")
        assert take_stock(bench.board).current is None
        with pytest.raises(IntegrityError) as caught:
            bench.deploy(make_bundle(tmp_path / "bad", "bad", fault=FAILS_WHEN_CURRENT))
        assert caught.value.state == "the board runs nothing"
        done = bench.deploy(make_bundle(tmp_path / "new", "new"))
        assert (bench.runs, done.previous) == ("new", None)
        assert first.release.partition("-")[2] in bench.releases()

    def test_rollback_and_back_again(self, bench: Bench, tmp_path: Path) -> None:
        old, new = (make_bundle(tmp_path / word, word) for word in ("old", "new"))
        bench.deploy(old)
        bench.deploy(new)
        now, left = roll_back(bench.board, "a", lambda _: None, wait_s=0, wanted=None)
        assert (bench.runs, now.id, left and left.id) == ("old", old.id, new.id)
        with pytest.raises(DeviceRefused) as caught:
            roll_back(bench.board, "a", lambda _: None, wait_s=0, wanted=None)
        assert caught.value.reason == "nothing-to-roll-back"
        roll_back(bench.board, "a", lambda _: None, wait_s=0, wanted=new.id)
        assert bench.runs == "new"
        assert bench.deploy(old).sent_bytes == 0
        assert bench.runs == "old"

    def test_old_releases_and_their_objects_go(self, bench: Bench, tmp_path: Path) -> None:
        bundles = [make_bundle(tmp_path / word, word) for word in ("a", "b", "c", "d")]
        for bundle in bundles:
            last = bench.deploy(bundle, keep=2)
        assert bench.releases() == [bundles[2].id, bundles[3].id]
        assert len(last.removed) == 1
        kept = {file.sha256 for bundle in bundles[2:] for file in bundle.files}
        stored = {name.removesuffix(".parts") for name in take_stock(bench.board).objects}
        assert stored <= kept
        assert not take_stock(bench.board).uploads

    def test_what_is_damaged_is_made_anew(self, bench: Bench, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "b", "one")
        bench.deploy(bundle)
        word = bench.root / "current/share/word"
        word.chmod(0o644)
        word.write_text("two\n")
        if not any("sha" in tool for tool in probe(bench.board).tools):
            with pytest.raises(IntegrityError):
                bench.deploy(bundle)
            return
        again = bench.deploy(bundle)
        assert again.changed
        assert bench.runs == "one"
        assert bench.releases() == [bundle.id]

    def test_probing_and_surveying_make_nothing(self, bench: Bench) -> None:
        facts = probe(bench.board)
        found = take_stock(bench.board)
        assert not bench.root.exists()
        assert (facts.root, facts.root_exists) == (str(bench.root), False)
        assert facts.free_bytes
        assert facts.mount
        assert facts.features
        assert (found.current, found.releases, found.objects) == (None, (), {})

    def test_a_tilde_is_the_boards_home(self, bench: Bench, tmp_path: Path) -> None:
        home = Bench(bench.watched, tmp_path / "board/home/there")
        home.board = bench.board.__class__(
            name="b",
            transport=bench.watched,
            root="~/there",
            nonce=bench.board.nonce,
            cancel=bench.board.cancel,
        )
        if probe(home.board).root != str(home.root):
            pytest.skip("the system's own userland has the user's home")
        home.deploy(make_bundle(tmp_path / "b", "one"))
        assert home.runs == "one"


def test_stages_are_told_in_order(local: Bench, tmp_path: Path) -> None:
    local.deploy(make_bundle(tmp_path / "b", "one"))
    stages = [event.stage for event in local.events if isinstance(event, Reached)]
    assert stages == [
        "probe",
        "lock",
        "survey",
        "send",
        "verify",
        "release",
        "check",
        "switch",
        "prune",
    ]


def test_a_garbled_beginning_is_sent_anew(local: Bench, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", "one", weights=some_weights(3 * MIB))
    local.watched.cut_after_bytes = 2 * MIB
    with pytest.raises(DeviceLost):
        local.deploy(bundle)
    local.watched.cut_after_bytes = None
    for part in (local.root / "store").glob(".part-*"):
        part.write_bytes(bytes(part.stat().st_size))
    done = local.deploy(bundle)
    assert done.resumed_bytes == 0
    assert local.runs == "one"


def test_damage_on_the_way_is_noticed_and_mended_once(local: Bench, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", "one", weights=some_weights(MIB))
    files = {file.path: file for file in bundle.files}
    (bundle.folder / "share/weights.bin").write_bytes(some_weights(MIB, seed=5))
    with pytest.raises(IntegrityError) as caught:
        local.deploy(bundle)
    assert caught.value.reason == "transfer-damaged"
    assert files["share/weights.bin"].sha256 in (caught.value.where or "")
    assert local.runs is None
    assert not list((local.root / "releases").iterdir())


def test_a_base_that_lies_costs_a_second_try(local: Bench, tmp_path: Path) -> None:
    weights = some_weights(2 * MIB)
    local.deploy(make_bundle(tmp_path / "old", "same", weights=weights))
    for base in (local.root / "store").iterdir():
        if base.stat().st_size == len(weights):
            base.chmod(0o644)
            base.write_bytes(bytes(len(weights)))
    new = weights[:MIB] + b"changed" + weights[MIB:]
    done = local.deploy(make_bundle(tmp_path / "new", "same", weights=new))
    assert done.sent_bytes > 2 * MIB
    assert (local.root / "current/share/weights.bin").read_bytes() == new


def test_who_stops_while_a_check_runs_waits_for_nothing(local: Bench, tmp_path: Path) -> None:
    mark = tmp_path / "began"
    slow = make_bundle(tmp_path / "slow", "slow", fault=f"touch {mark}; sleep 100")
    local.deploy(make_bundle(tmp_path / "old", "old"))

    def stop() -> None:
        while not mark.exists():
            time.sleep(0.01)
        local.board.cancel.set()

    threading.Thread(target=stop).start()
    began_s = time.monotonic()
    with pytest.raises(Interrupted) as caught:
        local.deploy(slow)
    assert time.monotonic() - began_s < 50
    assert caught.value.state == "what the board runs has not changed"
    assert local.runs == "old"


def test_a_current_release_without_its_manifest_is_no_base(local: Bench, tmp_path: Path) -> None:
    weights = some_weights(MIB)
    local.deploy(make_bundle(tmp_path / "old", "same", weights=weights))
    (local.root / "current/manifest.json").unlink()
    done = local.deploy(make_bundle(tmp_path / "new", "same", weights=b"more" + weights))
    assert done.sent_bytes > MIB
    assert local.runs == "same"


def test_a_list_of_parts_that_is_too_long_is_no_list(local: Bench, tmp_path: Path) -> None:
    weights = some_weights(MIB)
    local.deploy(make_bundle(tmp_path / "old", "same", weights=weights))
    for parts in (local.root / "store").glob("*.parts"):
        parts.chmod(0o644)
        parts.write_bytes(bytes(1 << 20))
    done = local.deploy(make_bundle(tmp_path / "new", "same", weights=b"more" + weights))
    assert done.sent_bytes > MIB


def test_a_failure_after_the_switch_says_what_runs(local: Bench, tmp_path: Path) -> None:
    local.deploy(make_bundle(tmp_path / "old", "old"))

    def lose_the_lock(event: object) -> None:
        if isinstance(event, Reached) and event.stage == "prune":
            raise lock_lost("bench")

    with pytest.raises(DeviceBusy) as caught:
        local.deploy(make_bundle(tmp_path / "new", "new"), listen=lose_the_lock, keep=1)
    assert local.runs == "new"
    assert caught.value.state == f"the board runs {(local.root / 'current').readlink().name}"


def test_what_is_new_is_on_the_disk_before_it_counts(tmp_path: Path) -> None:
    (tmp_path / "board").mkdir()
    log = tmp_path / "synced"
    bench = Bench(recording_sync(tmp_path / "board", log), tmp_path / "board" / "root")
    bundle = make_bundle(tmp_path / "b", "one", weights=some_weights(MIB), extra=2)
    release = bench.deploy(bundle).release
    laid_out, named, switched = [line.split("|") for line in log.read_text().splitlines()]
    paths = laid_out[0].split()
    assert {"store", "releases"} <= set(paths)
    assert {f"store/{file.sha256}" for file in bundle.files} <= set(paths)
    folders = {path.partition("/")[2].partition("/")[2] for path in paths if ".new-" in path}
    assert {"bin", "share", "check", "check/expected"} <= folders
    assert laid_out[1].strip() == ""  # as `ls` has it: no release but one that is still being made
    assert (named[0], named[1].strip()) == ("releases", release)
    assert "->" not in laid_out[2] + named[2]
    assert switched[0] == ". releases"
    assert f"-> releases/{release}" in switched[2]


def test_hashes_that_cannot_be_read_cost_no_object(tmp_path: Path) -> None:
    (tmp_path / "board").mkdir()
    bench = Bench(make_userland("busybox", tmp_path / "board"), tmp_path / "board" / "root")
    bench.deploy(make_bundle(tmp_path / "a", "a"))
    before = take_stock(bench.board).objects
    grep = tmp_path / "board/tools/grep"
    grep.unlink()
    grep.write_text("#!/bin/sh\nexit 2\n")
    grep.chmod(0o755)
    bench.deploy(make_bundle(tmp_path / "b", "b"), keep=1)
    assert before.keys() <= take_stock(bench.board).objects.keys()


def test_scraps_of_a_dead_client_go_with_the_next_deployment(local: Bench, tmp_path: Path) -> None:
    local.deploy(make_bundle(tmp_path / "a", "a"))
    (local.root / "store/.new-abc").write_bytes(b"half")
    (local.root / "releases/.new-00000009-x").mkdir()
    local.deploy(make_bundle(tmp_path / "b", "b"))
    assert not list(local.root.glob("*/.new-*"))


def test_a_release_that_was_never_current_is_no_place_to_go_back_to(
    local: Bench, tmp_path: Path
) -> None:
    local.deploy(make_bundle(tmp_path / "a", "a"))
    with pytest.raises(IntegrityError):
        local.deploy(make_bundle(tmp_path / "b", "b", fault=FAILS))
    local.deploy(make_bundle(tmp_path / "c", "c"))
    now, _ = roll_back(local.board, "x", lambda _: None, wait_s=0, wanted=None)
    assert local.runs == "a"
    assert isinstance(now, Release)
