"""``deploy-remote --bench``: measure what has just been deployed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from builder.bench.validity import BUSY_CORES
from builder.boards.board import Board
from builder.cli.bench.device import bench_device, in_short
from builder.cli.bench.request import BenchFlags, allowed_change
from builder.cli.bench.verdict import Ledger, show
from builder.cli.report import write_page
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
        target: Target,
        emit: Emit,
        again: Callable[[], AbstractContextManager[Board]],
    ) -> Succeeded:
        """Return the deployment with what was measured. Raises as ``Ledger.settle`` does."""
        try:
            taken = self.ledger.settle(bench_device(board, target, self.flags, emit, again))
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

    def conclude(self, *, as_json: bool) -> None:
        """Write the page that was asked for, and print the measurements."""
        if self.page is not None:
            write_page(
                [m for m, _ in self.ledger.entries], self.page, title="Deployed and measured"
            )
        if not as_json:
            show(self.ledger.entries)


def after_deploy(
    *,
    wait_s: int,
    baseline: str | None,
    allowed: str | None,
    allow_load: float | None,
    results: Path,
    page: Path | None,
) -> AfterDeploy:
    """Return how to measure with the options of ``deploy-remote``."""
    load = BUSY_CORES if allow_load is None else allow_load
    flags = BenchFlags(wait_s=wait_s, baseline=baseline, allow_load=load)
    return AfterDeploy(
        flags=flags, ledger=Ledger(results, allowed_change(allowed, baseline)), page=page
    )
