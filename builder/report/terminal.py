"""Live progress on a terminal: one row per target, then the final table."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from builder.model.event import Event, Finished, Logged, Planned
from builder.model.receipt import Receipt
from builder.ports import Clock
from builder.report.progress import Progress, Row
from builder.report.summary import COLUMNS, cautions, kept, row
from builder.report.wording import safe

_MARKS = {"waiting": Text("·", "dim"), "ok": Text("✓", "green"), "failed": Text("✗", "red")}


class TerminalReport:
    """Redraws itself until it is left, whatever ends the build.

    Everything shown goes through ``Text``, never markup: a model's name cannot style the screen.
    """

    def __init__(self, stream: TextIO, clock: Clock, *, verbose: bool = False) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._progress = Progress()
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._spinner = Spinner("dots")
        self._verbose = verbose
        self._live = Live(console=self._console, get_renderable=self._draw, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Show ``event``; the table of ``Finished`` stays on the screen."""
        self._progress.apply(event)
        match event:
            case Planned():
                self._console.print(Text(f"building {safe(event.model)}", "bold"))
            case Logged() if self._verbose:
                self._console.print(Text(safe(event.line), "dim"))
            case Finished():
                self._live.stop()
                self._console.print(_summary(event.receipts))
                for line in (*kept(event.receipts), *cautions(event.receipts)):
                    self._console.print(Text(safe(line), "yellow"))
            case _:
                pass

    def _draw(self) -> Table:
        elapsed_s = self._clock.monotonic_s() - self._began_s
        table = Table.grid(padding=(0, 1))
        for state in self._progress.rows():
            seconds = Text(
                f"{elapsed_s if state.seconds is None else state.seconds:.0f} s",
                "dim",
                justify="right",
            )
            table.add_row(self._mark(state), Text(state.target), seconds, _activity(state))
        return table

    def _mark(self, state: Row) -> Text | Spinner:
        return self._spinner if state.state == "running" else _MARKS[state.state]


def _activity(state: Row) -> Text:
    return Text.assemble(
        state.doing, ("  " + safe(state.log), "dim"), no_wrap=True, overflow="ellipsis"
    )


def _summary(receipts: tuple[Receipt, ...]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, no_wrap=True)
    for receipt in receipts:
        style = "" if receipt.status == "ok" else "red"
        table.add_row(*(Text(safe(cell), style) for cell in row(receipt)))
    return table
