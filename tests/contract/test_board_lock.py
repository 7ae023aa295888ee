"""The lock of a board, in every userland: one holder, freed by death, fenced at the switch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from builder.boards.board import Board
from builder.boards.lock import hold
from builder.boards.survey import take_stock
from builder.deploy.layout import Holder
from builder.errors import BoardwrightError, DeviceBusy, DeviceRefused
from tests.bundles import make_bundle
from tests.contract.boards import Bench
from tests.userlands import USERLANDS, board_on, make_userland

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=USERLANDS)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    (tmp_path / "board").mkdir()
    return board_on(make_userland(request.param, tmp_path / "board"), tmp_path / "board" / "root")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "board").mkdir()
    return Bench(make_userland("system", tmp_path / "board"), tmp_path / "board" / "root")


@pytest.fixture
def races() -> int:
    """Return how many times a board is raced for: 200 where the full loops are asked for."""
    return 200 if os.environ.get("BOARDWRIGHT_FULL_INJECTIONS") else 40


def holders(root: Path) -> list[int]:
    """Return the processes of this machine that the highest ticket of ``root`` names."""
    text = max((root / "locks").glob("ticket-*")).readlink().name
    return [int(process.partition("-")[0]) for process in text.split(",")[2:]]


@contextmanager
def another_client(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold the lock of ``root`` in another process until it is killed."""
    program = f"""
import threading
from builder.boards.lock import hold
from builder.effects.local_board import LocalBoard
from tests.userlands import board_on
with hold(board_on(LocalBoard(), {str(root)!r}), "eve@else") as lock:
    print(lock.fence, flush=True)
    threading.Event().wait()
"""
    client = subprocess.Popen(
        (sys.executable, "-c", program), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout
    try:
        client.stdout.readline()
        yield client
    finally:
        client.kill()
        client.communicate()


def test_tickets_go_up_and_one_is_left(board: Board, tmp_path: Path) -> None:
    fences = []
    for _ in range(3):
        with hold(board, "anna@lab") as lock:
            fences.append(lock.number)
            lock.check()
    assert fences == [1, 2, 3]
    assert len(list((tmp_path / "board" / "root" / "locks").iterdir())) == 1


def test_a_second_one_is_told_who_has_it(board: Board) -> None:
    with hold(board, "anna@lab"):
        with pytest.raises(DeviceBusy) as caught, hold(board, "bob@lab"):
            pytest.fail("two hold one board")
        assert (caught.value.reason, caught.value.exit_code) == ("locked", 8)
        assert caught.value.details["holder"] == "anna@lab"
        assert 0 <= caught.value.details["age_s"] < 60
        found = take_stock(board).holder
        assert found
        assert found.who == "anna@lab"
    assert take_stock(board).holder is None


def test_waiting_ends_when_the_lock_is_free(board: Board) -> None:
    waited: list[Holder] = []
    freed, told = threading.Event(), threading.Event()

    def first() -> None:
        with hold(board, "anna@lab"):
            told.wait()
        freed.set()

    thread = threading.Thread(target=first)
    thread.start()
    while take_stock(board).holder is None:
        pass

    def wait(holder: Holder) -> None:
        waited.append(holder)
        told.set()

    with hold(board, "bob@lab", wait_s=60, on_wait=wait) as lock:
        assert freed.wait(10)
        assert lock.number == 2
    assert waited[0].who == "anna@lab"
    thread.join()


def test_a_killed_client_is_waited_for_no_longer_than_a_second(
    board: Board, tmp_path: Path
) -> None:
    root = tmp_path / "board" / "root"
    with another_client(root) as client:
        with pytest.raises(DeviceBusy), hold(board, "bob@lab"):
            pytest.fail("two hold one board")
        client.send_signal(signal.SIGKILL)
        client.wait()
        with hold(board, "bob@lab", wait_s=1) as lock:
            assert lock.number == 2


def test_the_lock_of_a_killed_holder_on_the_board_is_free_and_its_client_knows(
    board: Board, tmp_path: Path
) -> None:
    with hold(board, "anna@lab") as lock:
        time.sleep(0.3)  # until what watches for silence runs there: it must not keep the link open
        for process in holders(tmp_path / "board" / "root"):
            os.kill(process, signal.SIGKILL)
        with hold(board, "bob@lab", wait_s=5):
            with pytest.raises(DeviceBusy) as caught:
                for _ in range(100):
                    lock.check()
                    time.sleep(0.05)
            assert caught.value.reason == "lock-lost"
            assert take_stock(board).holder


def test_another_boot_frees_the_lock(board: Board, tmp_path: Path) -> None:
    with hold(board, "anna@lab"):
        ticket = max((tmp_path / "board" / "root" / "locks").glob("ticket-*"))
        _, _, rest = ticket.readlink().name.partition(",")
        ticket.unlink()
        ticket.symlink_to(f"other-boot,{rest}")
        with hold(board, "bob@lab") as lock:
            assert lock.number == 2


def test_another_process_of_the_same_number_holds_nothing(board: Board, tmp_path: Path) -> None:
    with hold(board, "anna@lab"):
        ticket = max((tmp_path / "board" / "root" / "locks").glob("ticket-*"))
        text = ticket.readlink().name.rpartition("-")[0]
        ticket.unlink()
        ticket.symlink_to(f"{text}-1")
        with hold(board, "bob@lab") as lock:
            assert lock.number == 2


def test_a_lost_lock_switches_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.deploy(make_bundle(tmp_path / "old", "old"))
    thief = board_on(make_userland("system", tmp_path / "board/home"), bench.root)

    def steal(path: str) -> None:
        for process in holders(bench.root):
            os.kill(process, signal.SIGKILL)
        with hold(thief, "eve@else", wait_s=5):
            pass

    bench.watched.before_put = steal
    with pytest.raises(BoardwrightError) as caught:
        bench.deploy(make_bundle(tmp_path / "new", "new"))
    assert (caught.value.exit_code, caught.value.reason) == (8, "lock-lost")
    assert bench.runs == "old"
    assert not list((bench.root / "releases").glob("00000000-*"))


@pytest.mark.parametrize("gone", [True, False])
def test_no_script_goes_on_with_a_ticket_that_is_not_the_last(
    board: Board, tmp_path: Path, gone: bool
) -> None:
    root = tmp_path / "board" / "root"
    bench = Bench(board.transport, root)
    bench.deploy(make_bundle(tmp_path / "old", "old"))
    bench.deploy(make_bundle(tmp_path / "new", "new"))
    now, before = (root / "current").readlink().name, bench.releases()
    with hold(board, "anna@lab") as lock:
        fence = lock.fence
        if not gone:
            (root / f"locks/ticket-{int(fence) + 1:08d}").symlink_to("boot,eve@else,1-1")
    if gone:
        with hold(board, "eve@else"):
            pass
    old = min((root / "releases").iterdir()).name
    asked: dict[str, tuple[tuple[str, ...], list[str]]] = {
        "switch": ((old, old, ""), []),
        "release": (("00000000-toy-0123456789abcdef",), ["whole"]),
        "build": ((), ["file " + "0" * 64, "done"]),
        "prune": ((), [old]),
        "drop": ((), [f"release {old}"]),
    }
    for script, (arguments, lines) in asked.items():
        with pytest.raises(DeviceBusy) as caught:
            board.ask(script, fence, *arguments, lines=lines)
        assert (script, caught.value.reason) == (script, "lock-lost")
    assert (root / "current").readlink().name == now
    assert bench.releases() == before
    assert not list(root.glob("*/.*"))


@pytest.mark.parametrize("planted", ["file", "folder", "link", "short"])
def test_a_planted_ticket_is_refused(board: Board, tmp_path: Path, planted: str) -> None:
    with hold(board, "anna@lab"):
        pass
    place = tmp_path / "board" / "root" / "locks" / "ticket-00000077"
    if planted == "file":
        place.touch()
    elif planted == "short":
        place.with_name("ticket-9").symlink_to("boot,eve@else,1-1")
    elif planted == "folder":
        place.mkdir()
    else:
        (tmp_path / "victim").mkdir()
        place.symlink_to(tmp_path / "victim")
    if planted == "link":
        with hold(board, "bob@lab"):
            assert not list((tmp_path / "victim").iterdir())
    else:
        with pytest.raises(DeviceRefused), hold(board, "bob@lab"):
            pytest.fail("took a ticket beyond a planted one")


def test_many_at_once_never_interleave(tmp_path: Path, races: int) -> None:
    # Each adds one to a number in a file in steps that any interleaving would show.
    (tmp_path / "board").mkdir()
    transport, root = make_userland("system", tmp_path / "board"), tmp_path / "board" / "root"
    number = tmp_path / "number"
    number.write_text("0")

    def work(who: str) -> None:
        board = board_on(transport, root)
        for _ in range(races // 4):
            with hold(board, who, wait_s=600):
                before = int(number.read_text())
                time.sleep(0.001)
                number.write_text(str(before + 1))

    threads = [threading.Thread(target=work, args=(f"w{n}@lab",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(number.read_text()) == races // 4 * 4


def test_two_deployers_take_turns(tmp_path: Path, races: int) -> None:
    (tmp_path / "board").mkdir()
    root = tmp_path / "board" / "root"
    transport = make_userland("system", tmp_path / "board")
    spans: list[tuple[int, int]] = []

    def work(word: str) -> None:
        own = Bench(transport, root)
        for turn in range(races // 20):
            bundle = make_bundle(tmp_path / f"{word}{turn}", f"{word}{turn}")
            done = own.deploy(bundle, wait_s=600, keep=1)
            spans.append((int(done.release.partition("-")[0]), done.fence))
            assert done.changed

    threads = [threading.Thread(target=work, args=(word,)) for word in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans.sort()
    assert len(spans) == races // 20 * 2
    # From the ticket that was taken to the last one that was taken in its name: nobody between.
    assert all(before[1] < after[0] for before, after in pairwise(spans))
    release = (root / "current").readlink().name
    assert int(release.partition("-")[0]) == spans[-1][0]
