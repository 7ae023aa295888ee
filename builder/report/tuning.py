"""How tuning goes on and what came of it, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.text import Text

from builder.bench.durations import duration
from builder.model.tuning import Tile, TuningRecord
from builder.report.wording import safe


class PlainTuning:
    """A line for each kernel; with no ``stream`` nothing at all."""

    def __init__(self, stream: TextIO | None, *, verbose: bool) -> None:
        self._stream = stream
        self._verbose = verbose

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def log(self, line: str) -> None:
        """Take a line of the payload's."""
        if self._verbose:
            self._print(safe(line))

    def found(self, record: TuningRecord) -> None:
        """Take a record that has just been kept."""
        self._print(record_line(record))

    def _print(self, line: str) -> None:
        if self._stream:
            print(line, file=self._stream, flush=True)


class TerminalTuning:
    """A spinner beside what is going on; above it what was faster than usual."""

    def __init__(self, stream: TextIO, *, verbose: bool) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._status = self._console.status(Text("preparing the model"))
        self._verbose = verbose

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def log(self, line: str) -> None:
        """Take a line of the payload's: the last one tells what is going on."""
        self._status.update(Text(safe(line)))
        if self._verbose:
            self._console.print(Text(safe(line), "dim"))

    def found(self, record: TuningRecord) -> None:
        """Take a record that has just been kept."""
        if record.tile != record.usual or self._verbose:
            self._console.print(Text(record_line(record)))


TuningReport = PlainTuning | TerminalTuning


def record_line(record: TuningRecord) -> str:
    """Return one record in a line."""
    what, time = safe(record.description), duration(record.tile_us)
    if record.tile == record.usual:
        return f"{what}: {_tile(record.tile)} {time}, as usual"
    gain = 1.0 - record.tile_us / record.usual_us
    usual = f"{_tile(record.usual)} {duration(record.usual_us)}"
    return f"{what}: {_tile(record.tile)} {time} instead of {usual}, {gain:.1%} less"


def summary_lines(
    target: str, folder: Path, records: Sequence[TuningRecord], left: int
) -> list[str]:
    """Return what tuning came to; ``left`` kernels were not measured for want of time."""
    if not records:
        return [f"{target}: nothing was measured: all is known (see --again), or time was short"]
    faster = [record for record in records if record.tile != record.usual]
    lines = [f"{target}: {len(records)} kernels measured, {len(faster)} faster with another tile"]
    if left:
        lines.append(f"time is up: {left} kernels are left; run the same command again to go on")
    return [*lines, f"records are in {safe(str(folder))}; build as before to use them"]


def document(
    target: str, folder: Path, records: Sequence[TuningRecord], left: int
) -> dict[str, Any]:
    """Return what tuning came to as the content of one JSON document."""
    return {
        "status": "ok",
        "target": target,
        "folder": str(folder),
        "left": left,
        "records": [asdict(record) for record in records],
    }


def _tile(tile: Tile) -> str:
    return "x".join(map(str, tile))
