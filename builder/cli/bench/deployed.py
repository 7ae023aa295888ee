"""``deploy-remote --bench``: measure what has just been deployed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from builder.boards.board import Board
from builder.boards.lock import BoardLock
from builder.cli.bench.device import bench_held, in_short
from builder.cli.bench.request import allowed_change
from builder.cli.bench.verdict import Ledger, show
from builder.cli.failure import say
from builder.cli.measure_options import BenchFlags
from builder.cli.report import write_page
from builder.effects.results import need_folder
from builder.errors import BoardwrightError
from builder.model.deployed import Emit, Succeeded
from builder.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterDeploy:
    """How to measure what was deployed, where the results go, and the page about them."""

    flags: BenchFlags
    ledger: Ledger
    page: Path | None

    def measure(
        self,
        done: Succeeded,
        board: Board,
        lock: BoardLock,
        target: Target,
        emit: Emit,
        again: Callable[[], AbstractContextManager[Board]],
    ) -> Succeeded:
        """Return the deployment with what was measured under the lock that it was made under.

        Raises as ``Ledger.settle`` does.
        """
        try:
            taken = self.ledger.settle(bench_held(board, lock, target, self.flags, emit, again))
        except BoardwrightError as failure:
            deployed = f"{done.document.get('release')} is deployed and runs"
            failure.state = "; ".join(filter(None, (deployed, failure.state)))
            failure.with_details(measurements=self.ledger.documents(done.device))
            raise
        documents = self.ledger.documents(done.device)
        return replace(
            done,
            line=f"{done.line}; {in_short(taken)}",
            document={**done.document, "measurements": documents},
        )

    def show(self) -> None:
        """Print the measurements for people."""
        show(self.ledger)

    def write_page(self) -> int:
        """Write the page that was asked for; return the exit code.

        A failure is said on standard error: what was done to the boards has been told by then.
        """
        if self.page is None:
            return 0
        try:
            write_page(
                [m for m, _ in self.ledger.entries], self.page, title="Deployed and measured"
            )
        except BoardwrightError as failure:
            say(failure)
            return failure.exit_code
        return 0


def after_deploy(flags: BenchFlags, results: Path, page: Path | None) -> AfterDeploy:
    """Return how to measure with the options of ``deploy-remote``.

    Raises as ``allowed_change`` and ``need_folder`` do: before anything is deployed.
    """
    need_folder(results)
    return AfterDeploy(flags=flags, ledger=Ledger(results, allowed_change(flags)), page=page)
