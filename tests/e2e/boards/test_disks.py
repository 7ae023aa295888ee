"""Boards whose disk is full, fills up, or cannot be written: the old release goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.boards.bundle import LocalBundle
from builder.errors import DeviceRefused
from builder.model.deployed import BoardEvent, Reached, Sent
from tests.bundles import make_bundle, some_weights
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import HOME
from tests.processes import killed_at_the_end

MIB = 1 << 20
PLACE = HOME / "small"

pytestmark = pytest.mark.slow


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[LocalBundle, LocalBundle]:
    old, new = (some_weights(4 * MIB, seed=seed) for seed in (1, 2))
    return (
        make_bundle(tmp_path / "old", "old", weights=old),
        make_bundle(tmp_path / "new", "new", weights=new),
    )


def at(
    true: Callable[[BoardEvent], bool], do: Callable[[], object]
) -> Callable[[BoardEvent], None]:
    """Return a listener that does something once, at the first event for which ``true``."""
    waiting = [do]

    def listen(event: BoardEvent) -> None:
        if waiting and true(event):
            waiting.pop()()

    return listen


def stage(name: str) -> Callable[[BoardEvent], bool]:
    return lambda event: isinstance(event, Reached) and event.stage == name


def sent(count: int) -> Callable[[BoardEvent], bool]:
    return lambda event: isinstance(event, Sent) and event.sent_bytes >= count


def test_a_disk_too_small_is_found_before_a_byte_is_sent(
    bench: Bench, bundles: tuple[LocalBundle, LocalBundle]
) -> None:
    old, new = bundles
    with bench.simulated.disk(PLACE, "7m"):
        bench.root = PLACE / "root"
        bench.deploy(old)
        handed = bench.transport.handed_bytes
        with pytest.raises(DeviceRefused) as refused:
            bench.deploy(new)
        assert refused.value.reason == "no-space"
        assert bench.transport.handed_bytes == handed
        assert bench.runs() == old.id


def test_a_disk_that_fills_up_meanwhile(
    bench: Bench, bundles: tuple[LocalBundle, LocalBundle]
) -> None:
    old, new = bundles
    with bench.simulated.disk(PLACE, "16m"):
        bench.root = PLACE / "root"
        bench.deploy(old)
        handed = bench.transport.handed_bytes
        with pytest.raises(DeviceRefused) as refused:
            bench.deploy(new, listen=at(sent(MIB), lambda: fill(bench)))
        assert refused.value.reason == "no-space"
        assert bench.runs() == old.id
        bench.simulated.inside("rm", PLACE / "filler")
        bench.deploy(new)
        assert bench.runs() == new.id
        needed = new.size_bytes
        assert bench.transport.handed_bytes - handed <= needed + MIB


def fill(bench: Bench) -> None:
    bench.simulated.inside("dd", "if=/dev/zero", f"of={PLACE / 'filler'}", "bs=64k", check=False)


@pytest.mark.parametrize("late", ["verify", "release", "switch"])
def test_a_disk_that_fills_up_later_still(
    bench: Bench, bundles: tuple[LocalBundle, LocalBundle], late: str
) -> None:
    old, new = bundles
    with bench.simulated.disk(PLACE, "16m"):
        bench.root = PLACE / "root"
        bench.deploy(old)
        try:
            bench.deploy(new, listen=at(stage(late), lambda: fill(bench)))
        except DeviceRefused as failure:
            assert failure.reason in ("no-space", "failed")
        assert bench.runs() in (old.id, new.id)
        bench.simulated.inside("rm", PLACE / "filler")
        bench.deploy(new)
        assert bench.runs() == new.id


def test_a_disk_that_is_read_only_from_the_start(
    bench: Bench, bundles: tuple[LocalBundle, LocalBundle]
) -> None:
    old, new = bundles
    with bench.simulated.disk(PLACE, "16m"):
        bench.root = PLACE / "root"
        bench.deploy(old)
        bench.simulated.inside("mount", "-o", "remount,ro", PLACE)
        handed = bench.transport.handed_bytes
        with pytest.raises(DeviceRefused) as refused:
            bench.deploy(new)
        assert refused.value.reason == "read-only"
        assert bench.transport.handed_bytes == handed
        assert bench.runs() == old.id


@pytest.mark.parametrize("late", ["verify", "release", "check", "switch"])
def test_a_disk_that_becomes_read_only(
    bench: Bench, bundles: tuple[LocalBundle, LocalBundle], late: str
) -> None:
    """As ext4 does when the card it lies on fails."""
    old, new = bundles
    with bench.simulated.disk(PLACE, "16m"):
        bench.root = PLACE / "root"
        bench.deploy(old)
        remount = ("mount", "-o", "remount,ro", PLACE)
        with pytest.raises(DeviceRefused) as refused:
            bench.deploy(new, listen=at(stage(late), lambda: bench.simulated.inside(*remount)))
        assert refused.value.reason in ("read-only", "failed")
        assert bench.runs() == old.id
        bench.simulated.inside("mount", "-o", "remount,rw", PLACE)
        bench.deploy(new, wait_s=1)
        assert bench.runs() == new.id


def test_a_disk_that_programs_cannot_run_from(
    bench: Bench, bundles: tuple[LocalBundle, LocalBundle]
) -> None:
    with bench.simulated.disk(PLACE, "16m"):
        bench.root = PLACE / "root"
        bench.simulated.inside("mount", "-o", "remount,noexec", PLACE)
        with pytest.raises(DeviceRefused) as refused:
            bench.deploy(bundles[0])
        assert refused.value.reason == "no-exec"
        assert bench.transport.handed_bytes == 0


def test_a_running_program_is_replaced_without_a_hitch(bench: Bench, tmp_path: Path) -> None:
    program = bench.simulated.path("/usr/bin/sleep").read_bytes()
    old, new, newer = (
        make_bundle(tmp_path / word, word, weights=program + word.encode())
        for word in ("old", "new", "newer")
    )
    bench.deploy(old, keep=1)
    running = bench.root / "current/share/weights.bin"
    bench.simulated.inside("chmod", "0755", running)
    enter = ("nsenter", f"--target={bench.simulated.pid}", "--mount", "--pid", "--root", "--wd")
    with killed_at_the_end(subprocess.Popen((*enter, "--", str(running), "60"))) as sleeping:
        bench.deploy(new, keep=1)
        bench.deploy(newer, keep=1)
        assert bench.runs() == newer.id
        assert sleeping.poll() is None
