"""Clients that die by SIGKILL: the old release or the new one runs, and the lock is free."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.boards.bundle import LocalBundle
from builder.boards.lock import hold
from builder.errors import DeviceBusy
from tests.bundles import make_bundle, some_weights
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import ROOT, BoardSet, wait_until
from tests.processes import killed_at_the_end

STAGES = ("probe", "lock", "survey", "send", "verify", "release", "check", "switch", "prune")


@contextmanager
def client(bench: Bench, bundle: LocalBundle) -> Iterator[subprocess.Popen[str]]:
    """Deploy ``bundle`` from a process of its own, which is killed at the end."""
    where = (str(bench.simulated.folder), bench.simulated.name, str(bench.root))
    command = (sys.executable, "-m", "tests.e2e.boards.client", *where, str(bundle.folder))
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with killed_at_the_end(process):
        yield process


def kill_at(process: subprocess.Popen[str], stage: str, delay_s: float) -> bool:
    """Kill a client so long after it has reached ``stage``; return whether it came there."""
    assert process.stdout is not None
    came = any(line.strip() == stage for line in process.stdout)
    time.sleep(delay_s)
    process.kill()
    process.wait()
    return came


def a_bundle(folder: Path, number: int) -> LocalBundle:
    weights = some_weights(1 << 20, seed=number)
    return make_bundle(folder / str(number), f"w{number}", weights=weights)


def survives(bench: Bench, old: LocalBundle, new: LocalBundle) -> None:
    """Assert that one of the two runs, whole, and that the next client is not kept waiting."""
    assert bench.runs() in (old.id, new.id)
    bench.deploy(new, wait_s=1)
    assert bench.runs() == new.id


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_stage(bench: Bench, tmp_path: Path, dice: random.Random) -> None:
    old = a_bundle(tmp_path, 0)
    bench.deploy(old)
    for number, stage in enumerate(STAGES, 1):
        new = a_bundle(tmp_path, number)
        with client(bench, new) as process:
            assert kill_at(process, stage, dice.uniform(0, 0.05)), stage
        survives(bench, old, new)
        old = new


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.injections(short=4, full=100)
def test_killed_at_random(bench: Bench, tmp_path: Path, dice: random.Random, times: int) -> None:
    old = a_bundle(tmp_path, 0)
    bench.deploy(old)
    for number in range(1, times + 1):
        new = a_bundle(tmp_path, number)
        with client(bench, new) as process:
            kill_at(process, "probe", dice.uniform(0, 1.0))
        survives(bench, old, new)
        old = new


@pytest.mark.slow
def test_the_lock_of_a_killed_client_is_free_within_a_second(
    boards: BoardSet, bench: Bench, tmp_path: Path
) -> None:
    slow = make_bundle(tmp_path / "slow", "slow", fault="sleep 30")
    with client(bench, slow) as process:
        assert process.stdout is not None
        assert any(line.strip() == "check" for line in process.stdout)
        with pytest.raises(DeviceBusy), hold(bench.board, "bert@lab"):
            pass
        process.kill()
        process.wait()
        killed_s = time.monotonic()
        wait_until(lambda: is_free(bench), within_s=1.0)
    assert time.monotonic() - killed_s <= 1.0


def is_free(bench: Bench) -> bool:
    try:
        with hold(bench.board, "bert@lab"):
            return True
    except DeviceBusy:
        return False
