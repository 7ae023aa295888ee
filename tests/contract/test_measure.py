"""Measuring over a transport: what is kept, what is refused, what a lost board leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builder.bench.result import Subject
from builder.boards.board import Board
from builder.boards.measure import Outcome, World, bench_board
from builder.boards.reboot import explained
from builder.boards.take import Candidate, Wish
from builder.effects.local_board import LocalBoard
from builder.errors import BoardwrightError, DeviceBusy, DeviceLost
from builder.model.device import Completed
from builder.ports import Transport
from tests.canned_runner import answer, asked, bench_report, canned_bundle, first
from tests.contract.simulated_sysfs import FIRMWARE, GOVERNORS, Sysfs, raspberry
from tests.fakes import FakeClock

SAMPLES = tuple(np.random.default_rng(1).lognormal(4.6, 0.02, 40).round(3))
SLOWER = tuple(np.random.default_rng(2).lognormal(4.7, 0.02, 40).round(3))
WISH = Wish(
    threads=0,
    cores=(),
    warmup=2,
    min_runs=40,
    min_seconds=1.0,
    blocks=4,
    sustained_minutes=0,
    governor=None,
    busy_cores=0.2,
)


@pytest.fixture
def tree(tmp_path: Path) -> Sysfs:
    return raspberry(tmp_path / "board")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return canned_bundle(tmp_path / "new", SAMPLES)


def as_candidate(folder: Path) -> Candidate:
    subject = Subject(
        model="canned", target="x86_64-linux", sha256=folder.name, release=None, kernels=""
    )
    return Candidate(folder=str(folder), subject=subject, label=folder.name)


def world(tree: Sysfs, **changes: Any) -> World:
    tokens = (f"{number:016x}" for number in range(10_000))
    made = World(
        clock=FakeClock(),
        token=lambda: next(tokens),
        cancel=threading.Event(),
        tell=lambda _: None,
        sysfs_root=str(tree.root),
    )
    return replace(made, **changes)


def bench(
    tree: Sysfs,
    new: Path,
    old: Path | None = None,
    *,
    wish: Wish = WISH,
    threads: tuple[int, ...] = (1,),
    board: Transport | None = None,
    **changes: Any,
) -> tuple[Outcome, ...]:
    return bench_board(
        board or LocalBoard(),
        "pi",
        wish,
        threads,
        world(tree, **changes),
        as_candidate(new),
        as_candidate(old) if old else None,
    )


def reasons(outcome: Outcome) -> set[str]:
    return {problem.reason for problem in outcome.new.problems}


def test_everything_is_kept(tree: Sysfs, bundle: Path) -> None:
    [outcome] = bench(tree, bundle)
    made = outcome.new
    assert (made.status, made.problems, outcome.failure) == ("valid", (), None)
    assert made.board.cpu == "Raspberry Pi 4 Model B Rev 1.4"
    assert (made.subject.kernels, made.pace.threads, made.pace.cores) == ("any", 1, (3,))
    assert [block.latency_us for block in made.blocks] == [SAMPLES] * 4
    assert made.cold_start_us == (900.0, 800.0, 850.0)
    assert (made.init_us, made.peak_rss_bytes) == (250.0, 3 << 20)
    assert made.kernels[0].nodes == ("/Conv_0", "/Relu_1")
    assert made.latency is not None and made.latency.median is not None
    assert made.latency.samples == 160
    assert made.blocks[0].before.cores[0].governor == "ondemand"


def test_runs_and_seconds_are_shared_out_to_the_blocks(tree: Sysfs, bundle: Path) -> None:
    bench(tree, bundle, wish=replace(WISH, min_runs=41, min_seconds=2.0))
    cold, *blocks, profile = asked(bundle)
    assert "--cold-start" in cold
    assert "--profile" in profile
    assert len(blocks) == 4
    assert set(blocks) == {
        "--bench --json --threads 1 --cores 3 --warmup 2 --runs 11 --min-seconds 0.5"
    }


def test_each_number_of_threads_the_board_has_cores_for(tree: Sysfs, bundle: Path) -> None:
    outcomes = bench(tree, bundle, threads=(1, 4, 16))
    assert [outcome.new.pace.cores for outcome in outcomes] == [(3,), (0, 1, 2, 3)]


def test_new_and_old_take_turns(tree: Sysfs, tmp_path: Path) -> None:
    log = tmp_path / "log"
    new, old = (canned_bundle(tmp_path / name, SAMPLES) for name in ("new", "old"))
    for folder in (new, old):
        first(folder, "bench", f"echo {folder.name} >> {log}")
    bench(tree, new, old)
    assert log.read_text().split() == ["old", "new", "new", "old", "old", "new", "new", "old"]


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [(SLOWER, SAMPLES, "slower"), (SAMPLES, SLOWER, "faster"), (SAMPLES, SAMPLES, "no-difference")],
)
def test_a_baseline_is_answered(
    tree: Sysfs, tmp_path: Path, new: Sequence[float], old: Sequence[float], verdict: str
) -> None:
    folders = (canned_bundle(tmp_path / "a", new), canned_bundle(tmp_path / "b", old))
    [outcome] = bench(tree, *folders)
    assert outcome.new.comparison is not None and outcome.old is not None
    assert outcome.new.comparison.verdict == verdict
    assert outcome.old.comparison is None


SPOILERS = {
    "throttled": (FIRMWARE, "50004"),
    "rebooted": ("proc/sys/kernel/random/boot_id", "another"),
    "governor-changed": (GOVERNORS[0], "powersave"),
}


@pytest.mark.parametrize("reason", SPOILERS)
def test_a_spoilt_measurement_is_kept_and_marked(tree: Sysfs, bundle: Path, reason: str) -> None:
    path, content = SPOILERS[reason]
    first(bundle, "bench", f"echo {content} > '{tree.root / path}'")
    [outcome] = bench(tree, bundle)
    assert outcome.new.status == "invalid"
    assert reason in reasons(outcome)
    assert len(outcome.new.blocks) == 4


def test_a_busy_board_spoils(tree: Sysfs, bundle: Path) -> None:
    # Ten seconds pass, and one core of four is busy all the time: the runner used a millisecond.
    stat = tree.root / "proc/stat"
    busier = (
        f"sed -i 's/^cpu3 1000 /cpu3 2000 /' '{stat}'; echo '1010.00 1' > '{tree.root}/proc/uptime'"
    )
    first(bundle, "bench", busier)
    [outcome] = bench(tree, bundle)
    assert reasons(outcome) == {"busy"}
    assert outcome.new.blocks[0].others_cores == pytest.approx(1.0, abs=0.02)
    tree.set("proc/stat", "cpu 0")
    assert bench(tree, bundle)[0].new.status == "valid"  # a board that does not tell


def busy_board(tree: Sysfs, bundle: Path) -> None:
    """Let one core of four be busy for ten seconds whenever a block is measured."""
    uptime, stat = tree.root / "proc/uptime", tree.root / "proc/stat"
    busier = f"sed -i 's/^cpu3 1000 /cpu3 2000 /' '{stat}'; echo '1010.00 1' > '{uptime}'"
    first(bundle, "bench", busier)


def test_a_block_says_at_once_that_it_is_invalid(tree: Sysfs, bundle: Path) -> None:
    busy_board(tree, bundle)
    told: list[str] = []
    bench(tree, bundle, tell=told.append)
    blocks = [line for line in told if ": block " in line]
    assert "INVALID: other processes kept" in blocks[0]
    assert len(blocks) == 4


def test_a_strict_measurement_ends_at_its_first_invalid_block(tree: Sysfs, bundle: Path) -> None:
    busy_board(tree, bundle)
    [outcome] = bench(tree, bundle, wish=replace(WISH, strict=True))
    assert outcome.failure is not None
    assert (outcome.failure.exit_code, outcome.failure.reason) == (10, "busy")
    assert (len(outcome.new.blocks), outcome.new.status) == (1, "invalid")


def test_too_few_samples_are_not_valid(tree: Sysfs, tmp_path: Path) -> None:
    few = canned_bundle(tmp_path / "few", SAMPLES[:4])
    [outcome] = bench(tree, few)
    assert (outcome.new.status, reasons(outcome)) == ("invalid", {"too-few-samples"})


def test_times_are_told_in_readable_units(tree: Sysfs, tmp_path: Path) -> None:
    slow = canned_bundle(tmp_path / "slow", tuple(sample * 1e5 for sample in SAMPLES))
    told: list[str] = []
    bench(tree, slow, tell=told.append)
    assert any(" s of 40 runs" in line for line in told)
    assert not any("us of" in line for line in told)


def test_nothing_is_compared_with_a_spoilt_one(tree: Sysfs, tmp_path: Path, bundle: Path) -> None:
    old = canned_bundle(tmp_path / "old", SAMPLES)
    first(bundle, "bench", f"echo 50004 > '{tree.root / FIRMWARE}'")
    [outcome] = bench(tree, bundle, old)
    assert outcome.new.comparison is None


def test_the_governor_is_held_while_measuring(tree: Sysfs, bundle: Path) -> None:
    [outcome] = bench(tree, bundle, wish=replace(WISH, governor="performance"))
    assert outcome.new.status == "valid"
    assert {c.governor for b in outcome.new.blocks for c in b.before.cores} == {"performance"}
    assert [tree.get(path) for path in GOVERNORS] == ["ondemand"] * 4


def test_minutes_pass(tree: Sysfs, bundle: Path) -> None:
    clock = FakeClock()

    def pass_time(_: str) -> None:
        clock.time_s += 20

    wish = replace(WISH, sustained_minutes=3)
    [outcome] = bench(tree, bundle, wish=wish, clock=clock, tell=pass_time)
    assert [minute.minute for minute in outcome.new.minutes] == [1, 2, 3]
    assert [minute.samples for minute in outcome.new.minutes] == [120, 120, 120]
    assert outcome.new.minutes[0].celsius == 48.686


def test_what_is_kept_of_a_long_measurement_is_bounded(tree: Sysfs, bundle: Path) -> None:
    answer(bundle, "bench", bench_report([float(n) for n in range(1, 2501)]))
    clock = FakeClock()

    def pass_time(_: str) -> None:
        clock.time_s += 60

    wish = replace(WISH, sustained_minutes=1)
    [outcome] = bench(tree, bundle, wish=wish, clock=clock, tell=pass_time)
    assert outcome.new.blocks[0].latency_us == tuple(float(n) for n in range(1, 2501, 3))


def test_being_stopped_keeps_what_there_is(tree: Sysfs, bundle: Path) -> None:
    cancel = threading.Event()
    [outcome] = bench(tree, bundle, cancel=cancel, tell=lambda _: cancel.set())
    assert outcome.failure is not None and outcome.failure.reason == "interrupted"
    assert (outcome.new.status, len(outcome.new.blocks)) == ("invalid", 1)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {**bench_report([1.0]), "latency_us": {"samples": []}},
        {**bench_report([1.0]), "latency_us": {"samples": [0]}},
        {**bench_report([1.0]), "latency_us": {"samples": [float("nan")]}},
        {**bench_report([1.0]), "latency_us": {"samples": ["1"] * 3 + [None]}},
        {**bench_report([1.0]), "cpu": 5},
        {**bench_report([1.0]), "init_us": -1},
        {**bench_report([1.0]), "peak_rss_bytes": "many"},
    ],
)
def test_a_report_without_sense_is_refused(tree: Sysfs, bundle: Path, document: Any) -> None:
    answer(bundle, "bench", document)
    [outcome] = bench(tree, bundle)
    assert outcome.failure is not None and outcome.failure.reason == "bad-report"


def test_a_failing_runner_says_why(tree: Sysfs, bundle: Path) -> None:
    first(bundle, "bench", "echo 'run: the kernel guard failed' >&2; exit 4")
    [outcome] = bench(tree, bundle)
    assert outcome.failure is not None
    assert outcome.failure.reason == "runner-failed"
    assert outcome.failure.why == "the kernel guard failed"


def test_a_runner_that_cannot_start_another_has_no_cold_start(tree: Sysfs, bundle: Path) -> None:
    first(bundle, "cold-start", "exit 126")
    [outcome] = bench(tree, bundle)
    assert (outcome.new.status, outcome.new.cold_start_us) == ("valid", ())


def test_cold_starts_that_fail_end_it(tree: Sysfs, bundle: Path) -> None:
    first(bundle, "cold-start", "echo 'run: no memory' >&2; exit 4")
    [outcome] = bench(tree, bundle)
    assert outcome.failure is not None
    assert (outcome.failure.reason, outcome.failure.why) == ("runner-failed", "no memory")


def test_cold_starts_are_judged_too(tree: Sysfs, bundle: Path) -> None:
    first(bundle, "cold-start", f"echo powersave > '{tree.root / GOVERNORS[0]}'")
    [outcome] = bench(tree, bundle)
    assert [(p.reason, p.where) for p in outcome.new.problems] == [
        ("governor-changed", "cold starts")
    ]


class Dying(LocalBoard):
    """A board whose link dies after so many commands."""

    def __init__(self, commands: int) -> None:
        self._left = commands

    def run(self, command: Sequence[str], **options: Any) -> Completed:
        self._left -= 1
        if self._left < 0:
            raise DeviceLost("the link died", reason="link-lost")
        return super().run(command, **options)


def test_a_lost_board_leaves_what_was_taken(tree: Sysfs, bundle: Path) -> None:
    [outcome] = bench(tree, bundle, board=Dying(4))  # survey, cold start, two blocks
    assert outcome.failure is not None and outcome.failure.reason == "link-lost"
    assert (outcome.new.status, len(outcome.new.blocks)) == ("invalid", 2)


def back_as(boot_id: str, tries: list[int]) -> Callable[[], AbstractContextManager[Board]]:
    """Return a connection that fails ``tries[0]`` times, then is to a board of that boot id."""

    class Answering(LocalBoard):
        def run(self, command: Sequence[str], **_: Any) -> Completed:
            text = f"\n={command[4]} before\nboot-id {boot_id}\n\n={command[4]} end\n"
            return Completed(status=0, stdout=text.encode(), stderr=b"")

    @contextmanager
    def again() -> Iterator[Board]:
        tries[0] -= 1
        if tries[0] >= 0:
            raise DeviceLost("not back yet", reason="no-route")
        yield Board(
            name="pi",
            transport=Answering(),
            root="/nowhere",
            nonce=lambda: "0" * 16,
            cancel=threading.Event(),
        )

    return again


def test_who_has_lost_the_board_measures_no_further(tree: Sysfs, bundle: Path) -> None:
    turns: list[str] = []

    def still() -> None:
        if turns:
            raise DeviceBusy("lost to somebody else", reason="lock-lost")

    [outcome] = bench(tree, bundle, tell=turns.append, still=still)
    assert outcome.failure is not None and outcome.failure.reason == "lock-lost"
    assert (len(outcome.new.blocks), reasons(outcome)) == (1, {"lock-lost"})


@pytest.mark.parametrize("commands", [1, 2, 4])  # in the cold starts, the first and the third block
def test_a_reboot_is_told_from_a_lost_link(tree: Sysfs, bundle: Path, commands: int) -> None:
    outcomes = bench(tree, bundle, board=Dying(commands))
    boot_id = outcomes[0].boot_id
    waited: list[float] = []
    assert boot_id is not None
    [same] = explained(outcomes, back_as(boot_id, [0]), pause=waited.append)
    assert same.failure is not None and same.failure.reason == "link-lost"
    [rebooted] = explained(outcomes, back_as("another", [3]), pause=waited.append)
    assert rebooted.failure is None
    assert rebooted.new.problems[0].reason == "rebooted"
    assert len(waited) == 3
    [gone] = explained(outcomes, back_as("another", [1000]), pause=waited.append)
    assert isinstance(gone.failure, BoardwrightError)
