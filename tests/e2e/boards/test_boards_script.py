"""``ci/boards``: what it starts is what it says, and going down leaves nothing behind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.boards.survey import probe
from builder.project import parse_devices
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import BoardSet, call, processes_of

pytestmark = pytest.mark.slow

MACHINES = {"pi": "armv7l", "nano": "aarch64", "lab": "x86_64", "tiny": "x86_64"}


@pytest.fixture
def second_set(boards: BoardSet, tmp_path: Path) -> Iterator[BoardSet]:
    """Give another set while the session's is up, with one board."""
    folder = tmp_path / "second"
    started = call("up", "tiny", folder=folder)
    try:
        assert started.returncode == 0, started.stderr
        yield BoardSet(folder=folder)
    finally:
        call("down", folder=folder)


@pytest.mark.parametrize("name", MACHINES)
def test_each_board_is_what_it_stands_for(boards: BoardSet, name: str) -> None:
    with Bench.on(boards, name, "probed") as bench:
        facts = probe(bench.board)
    assert facts.machine == MACHINES[name]
    assert facts.user == "board"
    assert facts.governor == "ondemand"
    assert facts.sensors
    assert facts.boot == boards[name].path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_boards_tell_of_throttling_and_of_other_clocks(boards: BoardSet) -> None:
    facts = {}
    for name in ("pi", "nano"):
        with Bench.on(boards, name, "probed") as bench:
            facts[name] = probe(bench.board)
    assert facts["pi"].throttled == "0x0"
    assert [(clock.name, clock.khz) for clock in facts["nano"].clocks] == [
        ("57000000.gpu", 921_600)
    ]


def test_the_busybox_board_has_little(boards: BoardSet) -> None:
    with Bench.on(boards, "tiny", "probed") as bench:
        have = ("sh", "-c", "for tool; do command -v $tool; done", "sh")
        found = bench.transport.run((*have, "bash", "python3", "rsync", "flock", "sha256sum"))
    assert found.stdout.split() == [b"sha256sum"]


def test_devices_are_listed_with_their_targets(boards: BoardSet) -> None:
    file = boards.folder / "devices.yaml"
    devices = parse_devices(file.read_text(), str(file))
    assert {device.name: device.target for device in devices} == {
        "pi": "raspberry-pi-armv7",
        "nano": "jetson-nano",
        "lab": "x86_64-linux",
        "tiny": "x86_64-linux-musl",
    }


def test_coming_up_twice_changes_nothing(boards: BoardSet) -> None:
    before = {name: boards[name].pid for name in MACHINES}
    assert call("up", folder=boards.folder).returncode == 0
    assert {name: boards[name].pid for name in MACHINES} == before


def test_an_unknown_board_is_refused(boards: BoardSet) -> None:
    assert call("up", "raspberry", folder=boards.folder).returncode == 1


def test_a_reboot_keeps_the_disk_and_changes_the_boot_id(boards: BoardSet) -> None:
    board = boards["tiny"]
    boot = "/proc/sys/kernel/random/boot_id"
    before = board.path(boot).read_text()
    board.path("/home/board/kept").write_text("kept")
    board.reboot()
    assert board.path(boot).read_text() != before
    assert board.path("/home/board/kept").read_text() == "kept"
    with boards.connected("tiny") as transport:
        assert transport.run(("true",)).status == 0


def test_sets_do_not_meet(boards: BoardSet, second_set: BoardSet) -> None:
    assert boards["tiny"].link != second_set["tiny"].link
    second_set["tiny"].path("/home/board/only-here").write_text("")
    assert not boards["tiny"].path("/home/board/only-here").exists()
    for each in (boards, second_set):
        with each.connected("tiny") as transport:
            assert transport.run(("hostname",)).stdout == b"tiny\n"


def test_going_down_leaves_nothing(boards: BoardSet, second_set: BoardSet) -> None:
    link = second_set["tiny"].link
    assert processes_of(second_set.folder)
    assert call("down", folder=second_set.folder).returncode == 0
    assert processes_of(second_set.folder) == []
    assert str(second_set.folder) not in Path("/proc/mounts").read_text()
    assert not second_set.folder.exists()
    links = subprocess.run(("ip", "-o", "link"), capture_output=True, text=True, check=True).stdout
    assert f"{link}@" not in links
    with boards.connected("pi") as transport:  # foreign programs still run
        assert transport.run(("true",)).status == 0


def test_going_down_twice_is_no_failure(tmp_path: Path) -> None:
    assert call("down", folder=tmp_path / "never").returncode == 0
