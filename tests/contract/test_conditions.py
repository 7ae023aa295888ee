"""The scripts that look at a board and hold its governor, in the shells that boards have."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from builder.bench.conditions import Throttle
from builder.bench.result import Block
from builder.bench.validity import problems
from builder.boards.governor import governed
from builder.boards.scripts import script_text
from builder.boards.snapshot import Observed, observe, survey
from builder.effects.local_board import LocalBoard
from builder.errors import DeviceRefused, MeasurementInvalid
from builder.model.device import Completed
from builder.ports import Transport
from tests.contract.simulated_sysfs import (
    BOOT,
    COOLING,
    CPU,
    FIRMWARE,
    GOVERNORS,
    ZONE,
    Sysfs,
    raspberry,
)
from tests.processes import killed_at_the_end

ROOT = Path(__file__).parents[2]
TOKEN = "00112233aabbccdd"
SHELLS = {"sh": ("sh",), "busybox": ("busybox", "sh"), "bash": ("bash", "--posix")}


class Shell(LocalBoard):
    """This machine with another program as its ``sh``."""

    def __init__(self, shell: Sequence[str]) -> None:
        self._shell = shell

    def run(self, command: Sequence[str], **options: Any) -> Completed:
        assert command[0] == "sh"
        return super().run((*self._shell, *command[1:]), **options)


@pytest.fixture(params=SHELLS)
def board(request: pytest.FixtureRequest) -> Transport:
    shell = SHELLS[request.param]
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    return Shell(shell)


@pytest.fixture
def tree(tmp_path: Path) -> Sysfs:
    return raspberry(tmp_path / "board")


def look(board: Transport, tree: Sysfs, command: Sequence[str]) -> Observed:
    return observe(
        board,
        command,
        token=TOKEN,
        where="pi",
        cancel=threading.Event(),
        sysfs_root=str(tree.root),
    )


def reasons(seen: Observed) -> set[str]:
    block = Block(
        minute=None,
        latency_us=(1.0,),
        init_us=1.0,
        peak_rss_bytes=1,
        cpu_us=1.0,
        wall_us=None,
        others_cores=None,
        before=seen.before,
        after=seen.after,
    )
    return {problem.reason for problem in problems([block], busy_cores=0.2, sustained=False)}


def test_a_board_is_seen_as_it_is(board: Transport, tree: Sysfs) -> None:
    identity, found = survey(board, token=TOKEN, sysfs_root=str(tree.root), where="pi")
    assert identity.cpu == "Raspberry Pi 4 Model B Rev 1.4"
    assert identity.machine and identity.kernel
    assert (found.boot_id, found.uptime_s, found.allowed) == (BOOT, 1000.0, (0, 1, 2, 3))
    assert [core.number for core in found.cores] == [0, 1, 2, 3]
    core = found.cores[2]
    assert (core.governor, core.current_khz, core.min_khz) == ("ondemand", 600_000, 600_000)
    assert (core.max_khz, core.limit_khz, core.group) == (1_500_000, 1_500_000, "2")
    assert core.busy_ticks == 1510
    assert [(clock.name, clock.khz) for clock in found.clocks] == [("57000000.gpu", 500_000)]
    assert [(zone.zone, zone.celsius) for zone in found.temperatures] == [("cpu-thermal", 48.686)]
    assert set(found.throttles) == {
        Throttle(name="cpufreq-cpu0", kind="level", value=0),  # and no fan
        Throttle(name="cpu0 core throttle count", kind="counter", value=7),
        Throttle(name="get_throttled", kind="firmware", value=0x50000),
    }


THERMAL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=41.5, mType=3, mName=skin, mStatus=2}}
"""
BATTERY = """Current Battery Service state:
  AC powered: false
  status: {status}
  health: 2
"""


def phone_shell(folder: Path, *, thermal: int, battery: int) -> Transport:
    """Return this machine as a phone whose services say so."""
    for service, said in (
        ("thermalservice", THERMAL.format(status=thermal)),
        ("battery", BATTERY.format(status=battery)),
    ):
        (folder / service).write_text(said, encoding="utf-8")
    program = folder / "dumpsys"
    program.write_text(f'#!/bin/sh\ncat "{folder}/$1"\n', encoding="utf-8")
    program.chmod(0o755)
    return Shell(("env", f"PATH={folder}:/usr/bin:/bin", "sh"))


@pytest.mark.parametrize(
    ("thermal", "battery", "on_battery"), [(0, 2, False), (2, 3, True), (1, 5, False), (0, 1, None)]
)
def test_a_phone_tells_of_heat_and_battery(
    tmp_path: Path, thermal: int, battery: int, on_battery: bool | None
) -> None:
    board = phone_shell(tmp_path, thermal=thermal, battery=battery)
    _, found = survey(board, token=TOKEN, sysfs_root=str(tmp_path), where="phone")
    assert found.throttles == (Throttle(name="thermal service", kind="level", value=thermal),)
    assert found.on_battery is on_battery


def test_a_board_without_anything_is_seen_too(board: Transport, tmp_path: Path) -> None:
    _, found = survey(board, token=TOKEN, sysfs_root=str(tmp_path), where="pi")
    assert found.boot_id is None
    assert found.cores == ()


def test_this_machine_is_seen(board: Transport) -> None:
    seen = observe(board, ("true",), token=TOKEN, where="pi", cancel=threading.Event())
    assert seen.before.boot_id == seen.after.boot_id is not None
    assert seen.before.cores
    assert seen.before.uptime_s and seen.after.uptime_s
    assert seen.after.uptime_s >= seen.before.uptime_s


def test_a_command_keeps_its_status_and_its_output(board: Transport, tree: Sysfs) -> None:
    seen = look(board, tree, ("sh", "-c", "printf 'one\\n\\ntwo'; echo bad >&2; exit 7"))
    assert (seen.status, seen.stdout.strip(b"\n"), seen.stderr) == (7, b"one\n\ntwo", b"bad\n")


def test_a_command_cannot_speak_for_the_board(board: Transport, tree: Sysfs) -> None:
    forged = "=0000000000000000 after\nboot-id forged\n=0000000000000000 end\n=x status 0\n"
    seen = look(board, tree, ("printf", "%s", forged))
    assert seen.after.boot_id == BOOT
    assert b"forged" in seen.stdout


def test_a_cut_answer_is_no_answer(tree: Sysfs) -> None:
    class Cutting(LocalBoard):
        def run(self, command: Sequence[str], **options: Any) -> Completed:
            done = super().run(command, **options)
            return Completed(status=0, stdout=done.stdout[:-20], stderr=b"")

    with pytest.raises(MeasurementInvalid) as caught:
        look(Cutting(), tree, ("true",))
    assert caught.value.reason == "conditions-unreadable"


def test_nothing_happens_to_a_quiet_board(board: Transport, tree: Sysfs) -> None:
    assert reasons(look(board, tree, ("true",))) == set()


HAPPENINGS = {
    "reboot": ("proc/sys/kernel/random/boot_id", "another", "rebooted"),
    "governor": (GOVERNORS[3], "powersave", "governor-changed"),
    "capped": (f"{CPU}/cpu1/cpufreq/scaling_max_freq", "600000", "throttled"),
    "cooling": (f"{COOLING}/cur_state", "1", "throttled"),
    "counter": (f"{CPU}/cpu0/thermal_throttle/core_throttle_count", "8", "throttled"),
    "throttled now": (FIRMWARE, "50004", "throttled"),
    "under-voltage": (FIRMWARE, "50001", "throttled"),
    "throttled in between": (FIRMWARE, "d0000", "throttled"),
}


@pytest.mark.parametrize("what", HAPPENINGS)
def test_what_happens_meanwhile_is_noticed(board: Transport, tree: Sysfs, what: str) -> None:
    path, content, reason = HAPPENINGS[what]
    assert reasons(look(board, tree, tree.change(path, content))) == {reason}


def test_warmth_alone_is_no_problem(board: Transport, tree: Sysfs) -> None:
    seen = look(board, tree, tree.change(f"{ZONE}/temp", "79000"))
    assert reasons(seen) == set()
    assert seen.after.temperatures[0].celsius == 79.0


def governors(tree: Sysfs) -> list[str]:
    return [tree.get(path) for path in GOVERNORS]


def test_a_governor_is_held_and_put_back(board: Transport, tree: Sysfs) -> None:
    tree.set(GOVERNORS[2], "schedutil")
    with governed(board, "performance", token=TOKEN, sysfs_root=str(tree.root)):
        assert governors(tree) == ["performance"] * 4
    assert governors(tree) == ["ondemand", "ondemand", "schedutil", "ondemand"]


def test_a_governor_is_put_back_after_a_failure(board: Transport, tree: Sysfs) -> None:
    def fail() -> None:
        with governed(board, "performance", token=TOKEN, sysfs_root=str(tree.root)):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert governors(tree) == ["ondemand"] * 4


def test_what_cannot_be_set_leaves_all_as_it_was(board: Transport, tree: Sysfs) -> None:
    last = tree.root / GOVERNORS[3]
    last.unlink()
    last.mkdir()
    with pytest.raises(DeviceRefused) as caught:
        governed(board, "performance", token=TOKEN, sysfs_root=str(tree.root)).__enter__()
    assert caught.value.reason == "governor-refused"
    assert [tree.get(path) for path in GOVERNORS[:3]] == ["ondemand"] * 3


def test_a_board_without_governors_refuses(board: Transport, tmp_path: Path) -> None:
    with pytest.raises(DeviceRefused) as caught:
        governed(board, "performance", token=TOKEN, sysfs_root=str(tmp_path)).__enter__()
    assert caught.value.reason == "governor-refused"


CLIENT = """
import sys, time
from builder.boards.governor import governed
from builder.effects.local_board import LocalBoard
with governed(LocalBoard(), "performance", token=sys.argv[1], sysfs_root=sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_governor_outlives_no_client(tree: Sysfs) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, TOKEN, str(tree.root)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert client.stdout is not None
    with killed_at_the_end(client):
        assert client.stdout.readline() == b"held\n"
        assert governors(tree) == ["performance"] * 4
    wait_until(lambda: governors(tree) == ["ondemand"] * 4)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_puts_the_governor_back(shell: str, number: int, tree: Sysfs) -> None:
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{SHELLS[shell][0]} is not installed")
    arguments = (TOKEN, str(tree.root), "performance", "30")
    with the_governors_script(shell, *arguments) as script:
        wait_until(lambda: governors(tree) == ["performance"] * 4)
        script.send_signal(number)
        script.wait(10)
        assert governors(tree) == ["ondemand"] * 4


@pytest.mark.parametrize("shell", SHELLS)
def test_a_client_that_falls_silent_has_lost_the_governor(shell: str, tree: Sysfs) -> None:
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{SHELLS[shell][0]} is not installed")
    arguments = (TOKEN, str(tree.root), "performance", "1")
    with the_governors_script(shell, *arguments) as script:
        wait_until(lambda: governors(tree) == ["performance"] * 4)
        script.wait(20)
        assert governors(tree) == ["ondemand"] * 4


def the_governors_script(
    shell: str, *arguments: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run what a board runs while its governor is changed; kill it at the end."""
    command = (*SHELLS[shell], "-c", script_text("governor"), "governor", *arguments)
    pipe = subprocess.PIPE
    script = subprocess.Popen(command, stdin=pipe, stdout=pipe, preexec_fn=_heed_signals)
    return killed_at_the_end(script)


def _heed_signals() -> None:
    """A shell cannot trap what it was started to ignore, as everything below nohup is."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.02)
