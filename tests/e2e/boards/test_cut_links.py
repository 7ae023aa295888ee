"""Links that die at random points of a push: reported in time, and resumed where it was."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from builder.boards.bundle import LocalBundle
from builder.errors import BoardwrightError, DeviceLost
from tests.bundles import make_bundle, some_weights
from tests.e2e.boards.deploying import Bench
from tests.e2e.boards.simulated import BoardSet, SimulatedBoard, wait_until

MIB = 1 << 20
SIZE = 4 * MIB
TOGETHER = 10
"""Pushes that one fault hits, each at a point of its own."""

RATE = 160_000_000
ALL_S = TOGETHER * SIZE * 8 / RATE

Fault = Callable[[SimulatedBoard], None]


def pull_cable(board: SimulatedBoard) -> None:
    board.cut()


def crash_server(board: SimulatedBoard) -> None:
    board.end_sessions()


def lose_power(board: SimulatedBoard) -> None:
    board.cut()
    board.reboot()


def push_until(bench: Bench, bundle: LocalBundle, delay_s: float) -> tuple[float, Exception | None]:
    """Deploy after a while; return when that ended, and why if it failed."""
    time.sleep(delay_s)
    try:
        bench.deploy(bundle)
    except BoardwrightError as failure:
        return time.monotonic(), failure
    return time.monotonic(), None


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.injections(short=1, full=5)
@pytest.mark.parametrize("fault", [pull_cable, crash_server, lose_power])
def test_a_push_goes_on_where_a_fault_ended_it(
    boards: BoardSet,
    lab: SimulatedBoard,
    tmp_path: Path,
    dice: random.Random,
    times: int,
    fault: Fault,
) -> None:
    struck, worst = 0, 0
    for turn in range(times):
        bundles = [
            make_bundle(tmp_path / f"{turn}-{n}", f"w{n}", weights=some_weights(SIZE, seed=n))
            for n in range(TOGETHER)
        ]
        folders = [f"{fault.__name__}-{turn}-{n}" for n in range(TOGETHER)]
        began, failures = interrupted(boards, lab, bundles, folders, fault, dice)
        assert sum(failure is not None for failure in failures) >= TOGETHER / 2
        for failure in filter(None, failures):
            assert isinstance(failure, DeviceLost), failure
            struck += 1
        for bundle, folder, first_bytes in zip(bundles, folders, began, strict=True):
            with Bench.on(boards, "lab", folder) as bench:
                bench.deploy(bundle, wait_s=35)
                assert bench.runs() == bundle.id
                needed = bundle.size_bytes
                again = first_bytes + bench.transport.handed_bytes - needed
                worst = max(worst, again)
                assert again <= MIB
    print(f"{fault.__name__}: {struck} pushes struck, at most {worst} bytes sent twice")


def interrupted(
    boards: BoardSet,
    lab: SimulatedBoard,
    bundles: list[LocalBundle],
    folders: list[str],
    fault: Fault,
    dice: random.Random,
) -> tuple[list[int], list[Exception | None]]:
    """Push all at once into a fault; return the bytes handed over and the failure of each."""
    with ExitStack() as links, ThreadPoolExecutor(TOGETHER) as threads:
        benches = [links.enter_context(Bench.on(boards, "lab", folder)) for folder in folders]
        lab.slow_to(RATE)
        try:
            delays = [dice.uniform(0, ALL_S / 2) for _ in benches]
            pushes = [
                threads.submit(push_until, *push)
                for push in zip(benches, bundles, delays, strict=True)
            ]
            share = dice.uniform(0.1, 0.9) * sum(bundle.size_bytes for bundle in bundles)
            wait_until(lambda: handed(benches) > share, within_s=60)
            fault(lab)
            struck_s = time.monotonic()
            ends = [push.result() for push in pushes]
        finally:
            lab.slow_to(0)
            lab.mend()
        assert max(ended_s for ended_s, _ in ends) - struck_s < 20
    return [bench.transport.handed_bytes for bench in benches], [failure for _, failure in ends]


def handed(benches: list[Bench]) -> int:
    return sum(bench.transport.handed_bytes for bench in benches)
