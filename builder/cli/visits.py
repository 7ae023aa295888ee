"""Several boards at once: each on its own, one that fails stops no other."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.boards.board import Board
from builder.cli.clock import SystemClock
from builder.cli.environment import Environment
from builder.cli.failure import as_failure, say
from builder.cli.fleet import targets_of
from builder.cli.reaching import reached
from builder.errors import BoardwrightError
from builder.model.deployed import Began, BoardEvent, Emit, Ended, Failed, Succeeded
from builder.model.device import Device
from builder.model.target import Target
from builder.report.boards import PlainBoards
from builder.report.json_report import write_json
from builder.report.silent import SilentReport

Act = Callable[[Board, Device, Target, Emit], Succeeded]
"""Does to one board what was asked for and says how it went; raises what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How boards are gone to: the options that every such verb has, as click gives them."""

    patterns: tuple[str, ...]
    tags: tuple[str, ...]
    jobs: int
    accept_new_host_key: bool
    target_folders: tuple[Path, ...]
    as_json: bool


class BoardsReport(AbstractContextManager[object], Protocol):
    """Takes events between being entered and being left, from any thread."""

    def __call__(self, event: BoardEvent) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What came of one board: its document, or why there is none."""

    device: str
    document: Mapping[str, Any]
    failure: BoardwrightError | None

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` says of the board."""
        if self.failure is None:
            return {"device": self.device, "status": "ok", **self.document}
        return {"device": self.device, "status": "failed", "error": self.failure.to_json()}


def visit(
    devices: Sequence[Device],
    reach: Reach,
    environment: Environment,
    cancel: threading.Event,
    act: Act,
    *,
    ready: Callable[[Device], None] = lambda _: None,
) -> tuple[Visit, ...]:
    """Do ``act`` to the board of every device; return what came of each, in their order.

    ``ready`` raises where there is no use in going to a device at all.
    """
    targets = targets_of(devices, reach.target_folders, environment)
    report = _choose_report(as_json=reach.as_json, plain=environment.plain)
    clock, telling = SystemClock(), threading.Lock()
    began_s = clock.monotonic_s()

    def emit(event: BoardEvent) -> None:
        with telling:
            report(event)

    def one(device: Device) -> Visit:
        target, accept = targets[device.target], reach.accept_new_host_key
        try:
            ready(device)
            with reached(device, target, environment, cancel, accept_new_host_key=accept) as board:
                done = act(board, device, target, emit)
        except Exception as error:
            return _given_up(device, error, emit)
        emit(done)
        return Visit(device=device.name, document=done.document, failure=None)

    with report, ThreadPoolExecutor(max_workers=reach.jobs) as threads:
        emit(Began(devices=tuple(device.name for device in devices)))
        visits = tuple(threads.map(one, devices))
        emit(Ended(seconds=clock.monotonic_s() - began_s))
    return visits


def conclude(visits: Sequence[Visit], *, as_json: bool) -> int:
    """Print the JSON document, or each failure; return the exit code of the first failed board."""
    failures = [one.failure for one in visits if one.failure]
    if as_json:
        document = {
            "status": "failed" if failures else "ok",
            "devices": [one.to_json() for one in visits],
            "error": failures[0].to_json() if failures else None,
        }
        write_json(sys.stdout, document)
    else:
        for failure in failures:
            say(failure)
    return failures[0].exit_code if failures else 0


def _choose_report(*, as_json: bool, plain: bool) -> BoardsReport:
    if as_json:
        return SilentReport()
    if plain or not sys.stdout.isatty():
        return PlainBoards(sys.stdout)
    from builder.report.boards_terminal import TerminalBoards  # rich takes 60 ms

    return TerminalBoards(sys.stdout, SystemClock())


def _given_up(device: Device, error: Exception, emit: Emit) -> Visit:
    failure = as_failure(error)
    failure.where = failure.where or device.name
    emit(Failed(device=device.name, error=failure))
    return Visit(device=device.name, document={}, failure=failure)
