"""A client that is killed: the board runs the old release or the new one, whole, and goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from builder.boards.bundle import LocalBundle
from builder.model.deployed import Stage
from tests.bundles import make_bundle, some_weights
from tests.contract.boards import Bench
from tests.userlands import make_userland

REPOSITORY = Path(__file__).parents[2]
MIB = 1 << 20

CLIENT = """
import os, signal, sys
from pathlib import Path
from builder.boards.bundle import read_bundle
from builder.boards.deploy import deploy
from builder.boards.draft import Order
from builder.effects.local_board import LocalBoard
from builder.model.deployed import Reached, Sent
from tests.bundles import NEEDS
from tests.userlands import board_on

stage, root, folder = sys.argv[1:]

def emit(event):
    if isinstance(event, Reached) and event.stage == stage:
        os.kill(os.getpid(), signal.SIGKILL)
    if isinstance(event, Sent) and stage == "sending" and event.sent_bytes * 2 > event.total_bytes:
        os.kill(os.getpid(), signal.SIGKILL)

order = Order(bundle=read_bundle(Path(folder)), needs=NEEDS, who="a@b", wait_s=0, keep=2)
print("ready", flush=True)
deploy(board_on(LocalBoard(), root), order, emit)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "board").mkdir()
    return Bench(make_userland("system", tmp_path / "board"), tmp_path / "board" / "root")


def client(stage: str, bench: Bench, bundle: LocalBundle) -> subprocess.Popen[str]:
    """Start to deploy in another process, which kills itself at ``stage``."""
    arguments = (sys.executable, "-c", CLIENT, stage, str(bench.root), str(bundle.folder))
    return subprocess.Popen(arguments, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def assert_whole(bench: Bench, *bundles: LocalBundle) -> str:
    """Return the word of the bundle that the board runs, of which every byte is right."""
    word = bench.runs
    assert word
    bundle = next(bundle for bundle in bundles if bundle.folder.name == word)
    for file in bundle.files:
        found = (bench.root / "current" / file.path).read_bytes()
        assert found == (bundle.folder / file.path).read_bytes()
    subprocess.run((bench.root / "current/bin/run", "--check"), check=True)
    return word


@pytest.mark.parametrize("stage", [*get_args(Stage)[:-1], "sending"])
def test_killed_at_each_stage(bench: Bench, tmp_path: Path, stage: str) -> None:
    old = make_bundle(tmp_path / "old", "old", weights=some_weights(2 * MIB))
    new = make_bundle(tmp_path / "new", "new", weights=some_weights(2 * MIB, seed=1))
    bench.deploy(old)
    with client(stage, bench, new) as dead:
        assert dead.wait() == -9
    assert assert_whole(bench, old, new) == ("new" if stage == "prune" else "old")
    done = bench.deploy(new, wait_s=20)
    assert assert_whole(bench, old, new) == "new"
    assert not list(bench.root.glob("*/.*"))
    if stage in ("verify", "release", "check"):
        assert done.sent_bytes == 0


def test_killed_at_random(bench: Bench, tmp_path: Path) -> None:
    chance = random.Random(11)
    bundles = [
        make_bundle(tmp_path / word, word, weights=some_weights(MIB, seed=seed), extra=3)
        for seed, word in enumerate(("one", "two"))
    ]
    bench.deploy(bundles[0])
    for turn in range(100 if os.environ.get("BOARDWRIGHT_FULL_INJECTIONS") else 8):
        with client("never", bench, bundles[1 - turn % 2]) as victim:
            assert victim.stdout
            victim.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.6))
            victim.kill()
        assert_whole(bench, *bundles)
    bench.deploy(bundles[1], wait_s=20)
    assert assert_whole(bench, *bundles) == "two"
