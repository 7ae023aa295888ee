"""Measure what is deployed on a board, alone or in turns with a baseline."""

from __future__ import annotations

import hashlib

from builder.bench.result import Measurement
from builder.boards.board import Board
from builder.boards.lock import BoardLock, hold
from builder.boards.measure import Outcome, World, bench_board
from builder.boards.reboot import Return, explained
from builder.boards.survey import take_stock
from builder.boards.take import Candidate
from builder.bundle.manifest import LARGEST_MANIFEST, MANIFEST, load_manifest
from builder.cli.bench.baseline import find_baseline
from builder.cli.bench.request import candidate, threads_of, wish_of
from builder.cli.clock import SystemClock
from builder.cli.fleet import own_name
from builder.cli.measure_options import BenchFlags
from builder.deploy.layout import Holder, Release
from builder.errors import UsageError
from builder.model.deployed import Emit, Reached, Told, Waited
from builder.model.target import Target
from builder.report.bench_view import brief


def bench_device(
    board: Board, target: Target, flags: BenchFlags, emit: Emit, again: Return
) -> tuple[Outcome, ...]:
    """Measure the current release of a board while holding its lock.

    Raises ``DeviceBusy``, and as ``bench_held`` does.
    """

    def on_wait(holder: Holder) -> None:
        emit(Waited(device=board.name, who=holder.who, age_s=holder.age_s))

    with hold(board, own_name(), wait_s=flags.wait_s, on_wait=on_wait) as lock:
        return bench_held(board, lock, target, flags, emit, again)


def bench_held(
    board: Board, lock: BoardLock, target: Target, flags: BenchFlags, emit: Emit, again: Return
) -> tuple[Outcome, ...]:
    """Measure the current release of a board whose lock is held.

    ``again`` connects to the board once more: one that was lost may have rebooted. Raises
    ``UsageError`` ``nothing-deployed``, and as ``find_baseline`` and ``bench_board`` do.
    """
    new, old = _candidates(board, lock, target, flags, emit)
    emit(Reached(device=board.name, stage="measure"))
    wish, threads = wish_of(flags, target.bench), threads_of(flags, target.bench)
    world = _world(board, lock, emit)
    outcomes = bench_board(board.transport, board.name, wish, threads, world, new, old)
    return explained(outcomes, again, pause=board.cancel.wait)


def in_short(measurements: list[Measurement]) -> str:
    """Return measurements as one line."""
    return "; ".join(map(brief, measurements))


def _candidates(
    board: Board, lock: BoardLock, target: Target, flags: BenchFlags, emit: Emit
) -> tuple[Candidate, Candidate | None]:
    found = take_stock(board)
    if found.current is None:
        raise UsageError(
            "nothing is deployed there",
            reason="nothing-deployed",
            where=board.name,
            remedy=f"run: boardwright deploy-remote --device {board.name}",
        )
    new = _candidate(board, lock, found.current)
    if flags.baseline is None:
        return new, None
    release = find_baseline(flags.baseline, board, lock, found, target, emit)
    return new, _candidate(board, lock, release)


def _candidate(board: Board, lock: BoardLock, release: Release) -> Candidate:
    # Not through `current`: what is measured stays the same whatever happens to that link.
    folder = f"{lock.root}/releases/{release.name}"
    text = board.read(f"{folder}/{MANIFEST}", limit_bytes=LARGEST_MANIFEST)
    digest = hashlib.sha256(text).hexdigest()
    return candidate(folder, load_manifest(text), digest, release=release.name)


def _world(board: Board, lock: BoardLock, emit: Emit) -> World:
    return World(
        clock=SystemClock(),
        token=board.nonce,
        cancel=board.cancel,
        tell=lambda line: emit(Told(device=board.name, line=line)),
        still=lock.check,
    )
