"""Run trial bundles on a board in turns, and tell which tiles were the fastest there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from builder.bench.pinning import choose_cores
from builder.bench.result import KernelTime
from builder.boards import runner
from builder.boards.board import Board
from builder.boards.deploy import bring
from builder.boards.draft import Order
from builder.boards.lock import BoardLock
from builder.boards.snapshot import observe, survey
from builder.boards.survey import take_stock
from builder.deploy.layout import Release
from builder.errors import BoardwrightError, MeasurementInvalid
from builder.model.deployed import Emit, Reached
from builder.model.tuning import Contest, Finding
from builder.tuning.judging import FINAL_ROUNDS, HEATS
from builder.tuning.trials import Times, best, challengers, findings

_MOST_RUNS = 100
_LONGEST_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a board found: of which CPU it says it is, and what is known of each kernel."""

    cpu: str
    findings: tuple[Finding, ...]


def measure_trials(
    board: Board,
    lock: BoardLock,
    orders: Sequence[Order],
    contests: Sequence[Contest],
    cpu: str,
    *,
    budget_s: float,
    emit: Emit,
    tell: Callable[[str], None],
) -> Tuned:
    """Bring ``orders``, the bundles of ``tuning.trials``, beside what runs; measure; remove them.

    In each round every trial is a process of ``bin/run --profile`` on one core, of so many runs
    that all rounds take about ``budget_s``, and of one at least. ``cpu`` names the kernels that
    run. Raises as ``bring`` and ``observe`` do, and ``MeasurementInvalid`` ``bad-report``.
    """
    with _brought(board, lock, orders, emit) as folders:
        emit(Reached(device=board.name, stage="measure"))
        identity, conditions = survey(
            board.transport, token=board.nonce(), sysfs_root="", where=board.name
        )
        stand = _Stand(board, lock, contests, choose_cores(conditions, 1), tell)
        stand.suit(budget_s, folders)
        heats = dict(enumerate(stand.rounds(folders, HEATS, "heat")))
        fastest = best(contests, heats)
        racing = challengers(fastest)
        if racing:
            again = stand.rounds([folders[trial] for trial in racing], FINAL_ROUNDS, "final")
            heats |= dict(zip(racing, again, strict=True))
    return Tuned(
        cpu=identity.cpu or identity.machine,
        findings=tuple(findings(contests, cpu, fastest, heats)),
    )


@contextmanager
def _brought(
    board: Board, lock: BoardLock, orders: Sequence[Order], emit: Emit
) -> Iterator[list[str]]:
    """Give the folders of the bundles on the board; those that were not there go again."""
    before = take_stock(board).releases
    try:
        releases = [bring(board, order, lock, emit) for order in orders]
        yield [f"{lock.root}/releases/{release.name}" for release in releases]
    finally:
        # A board that is lost keeps them until the next deployment: it prunes them first.
        # Who is told to stop does this all the same.
        with suppress(BoardwrightError):
            _remove_all_but(before, replace(board, cancel=threading.Event()), lock)


def _remove_all_but(before: Sequence[Release], board: Board, lock: BoardLock) -> None:
    made = [release.name for release in take_stock(board).releases if release not in before]
    if made:
        lock.check()
        lock.advance(board.ask("prune", lock.fence, lines=made))


class _Stand:
    """Where trials run: one core of a board."""

    def __init__(
        self,
        board: Board,
        lock: BoardLock,
        contests: Sequence[Contest],
        cores: Sequence[int],
        tell: Callable[[str], None],
    ) -> None:
        self._board = board
        self._lock = lock
        self._kernels = {name: contest.kernel for contest in contests for name in contest.calls}
        self._cores = cores
        self._tell = tell
        self._runs = 1

    def suit(self, budget_s: float, folders: Sequence[str]) -> None:
        """Choose how many runs a process makes, from what one takes of the first."""
        run_us = sum(kernel.mean_us for kernel in self._profile(folders[0]))
        processes = len(folders) * (HEATS + FINAL_ROUNDS)
        self._runs = max(1, min(_MOST_RUNS, int(budget_s * 1e6 / (processes * max(run_us, 1.0)))))

    def rounds(self, folders: Sequence[str], number: int, name: str) -> list[list[Times]]:
        """Return the times of each folder, round by round."""
        taken: list[list[Times]] = [[] for _ in folders]
        for turn in range(number):
            self._tell(f"{self._board.name}: {name} {turn + 1} of {number}")
            for folder, times in zip(folders, taken, strict=True):
                times.append(self._times(folder))
        return taken

    def _times(self, folder: str) -> Times:
        sums = dict.fromkeys(self._kernels.values(), 0.0)
        named = 0
        for kernel in self._profile(folder):
            if kernel.name in self._kernels:
                sums[self._kernels[kernel.name]] += kernel.mean_us
                named += 1
        if named < len(self._kernels):
            raise MeasurementInvalid(
                "the runner's profile lacks kernels", reason="bad-report", where=self._board.name
            )
        return sums

    def _profile(self, folder: str) -> tuple[KernelTime, ...]:
        self._board.go_on()
        self._lock.check()
        words = runner.command(
            folder, "profile", threads=1, cores=self._cores, warmup=1, runs=self._runs
        )
        seen = observe(
            self._board.transport,
            words,
            token=self._board.nonce(),
            where=f"{self._board.name}: run --profile",
            cancel=self._board.cancel,
            timeout_s=_LONGEST_S,
        )
        runner.refuse_failure(seen.status, seen.stderr, where=self._board.name)
        return runner.parse_profile(seen.stdout)
