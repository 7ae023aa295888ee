"""What happens to boards, live on a terminal: a row each."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self, TextIO, assert_never

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from builder.model.deployed import (
    Began,
    BoardEvent,
    Ended,
    Failed,
    Reached,
    Sent,
    Succeeded,
    Told,
    Waited,
)
from builder.ports import Clock
from builder.report.boards import doing
from builder.report.wording import byte_size, safe


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    state: Literal["waiting", "running", "ok", "failed"] = "waiting"
    text: str = ""
    sent: Sent | None = None


class TerminalBoards:
    """Redraws itself until it is left. Everything shown goes through ``Text``, never markup."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._spinner = Spinner("dots")
        self._rows: dict[str, _Row] = {}
        self._changing = threading.Lock()
        self._live = Live(console=self._console, get_renderable=self._draw)

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

    def __call__(self, event: BoardEvent) -> None:
        """Show ``event``."""
        with self._changing:
            self._apply(event)

    def _apply(self, event: BoardEvent) -> None:
        match event:
            case Began():
                self._rows = {device: _Row() for device in event.devices}
            case Reached():
                self._rows[event.device] = _Row(state="running", text=doing(event.stage))
            case Told():
                self._rows[event.device] = _Row(state="running", text=event.line)
            case Waited():
                text = f"waiting for {event.who}, who has had it for {event.age_s} s"
                self._rows[event.device] = _Row(state="running", text=text)
            case Sent():
                self._rows[event.device] = replace(self._rows[event.device], sent=event)
            case Succeeded():
                self._rows[event.device] = _Row(state="ok", text=event.line)
            case Failed():
                self._rows[event.device] = _Row(state="failed", text=event.error.what)
            case Ended():
                pass
            case _:
                assert_never(event)

    def _draw(self) -> Table:
        elapsed_s = self._clock.monotonic_s() - self._began_s
        table = Table.grid(padding=(0, 1))
        with self._changing:
            rows = list(self._rows.items())
        for device, row in rows:
            table.add_row(self._mark(row), Text(safe(device)), *_activity(row))
        table.add_row("", Text(f"{elapsed_s:.0f} s", "dim"))
        return table

    def _mark(self, row: _Row) -> RenderableType:
        match row.state:
            case "running":
                return self._spinner
            case "ok":
                return Text("✓", "green")
            case "failed":
                return Text("✗", "red")
            case "waiting":
                return Text("·", "dim")
        assert_never(row.state)


def _activity(row: _Row) -> tuple[RenderableType, ...]:
    text = Text(safe(row.text), no_wrap=True, overflow="ellipsis")
    if row.sent is None:
        return (text,)
    bar = ProgressBar(total=max(1, row.sent.total_bytes), completed=row.sent.sent_bytes, width=30)
    return text, bar, Text(byte_size(row.sent.total_bytes), "dim")
