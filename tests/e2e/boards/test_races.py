"""Two deployers on one board: one after the other, never in each other's way."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from builder.boards.bundle import LocalBundle
from builder.errors import DeviceBusy
from builder.model.deployed import BoardEvent, Deployed, Reached
from tests.bundles import make_bundle
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import BoardSet


class Journal:
    """Who did what when, in the order in which it was heard of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.entries: list[tuple[str, str]] = []

    def add(self, who: str, what: str) -> None:
        with self._lock:
            self.entries.append((who, what))

    def turns(self) -> list[str]:
        """Return who was at work under the lock, each turn once."""
        working = [who for who, what in self.entries if what not in ("probe", "lock", "busy")]
        return [who for before, who in pairwise(["", *working]) if who != before]


def compete(bench: Bench, bundle: LocalBundle, journal: Journal, wait_s: int) -> Deployed | None:
    who = bundle.id

    def listen(event: BoardEvent) -> None:
        if isinstance(event, Reached):
            journal.add(who, event.stage)

    try:
        return bench.deploy(bundle, listen=listen, wait_s=wait_s, who="anna@lab")
    except DeviceBusy:
        journal.add(who, "busy")
        return None


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.injections(short=20, full=200)
def test_two_deployers_take_turns(
    boards: BoardSet, bench: Bench, tmp_path: Path, dice: random.Random, times: int
) -> None:
    bundles = [make_bundle(tmp_path / word, word) for word in ("a", "b")]
    with Bench.on(boards, "lab", "other") as other, ThreadPoolExecutor(2) as threads:
        other.root = bench.root
        last_fence = 0
        for _ in range(times):
            journal = Journal()
            waits = (dice.choice((0, 20)), dice.choice((0, 20)))
            races = zip((bench, other), bundles, waits, strict=True)
            ran = [
                threads.submit(compete, one, bundle, journal, wait) for one, bundle, wait in races
            ]
            done = [deployed for race in ran if (deployed := race.result())]
            turns = journal.turns()
            assert len(turns) == len(set(turns)) == len(done) >= 1, journal.entries
            last_fence = check_fences(done, last_fence)
            assert bench.runs() == turns[-1]


def check_fences(done: Iterable[Deployed], last: int) -> int:
    """Assert that nobody was given a number twice, or one from before; return the highest."""
    fences = sorted(deployed.fence for deployed in done)
    assert len(fences) == len(set(fences))
    assert fences[0] > last
    return fences[-1]


@pytest.mark.slow
def test_one_that_was_cut_off_cannot_switch_any_more(
    boards: BoardSet, bench: Bench, tmp_path: Path
) -> None:
    """The cable comes back after somebody else has had the board."""
    late, first = (make_bundle(tmp_path / word, word) for word in ("late", "first"))

    def steal(event: BoardEvent) -> None:
        if isinstance(event, Reached) and event.stage == "check":
            bench.simulated.inside("pkill", "-KILL", "-f", "anna-late@lab")
            time.sleep(0.2)
            with Bench.on(boards, "lab", "other") as other:
                other.root = bench.root
                other.deploy(first, wait_s=20)

    with pytest.raises(DeviceBusy) as lost:
        bench.deploy(late, listen=steal, who="anna-late@lab")
    assert lost.value.reason == "lock-lost"
    assert bench.runs() == first.id
