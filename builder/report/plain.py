"""One line per event: for pipes, logs and CI."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TextIO, assert_never

from builder.model.event import (
    Event,
    Failed,
    Finished,
    Hit,
    Logged,
    Lost,
    Planned,
    Published,
    Ran,
    Started,
    StepRef,
)
from builder.report.progress import describe
from builder.report.summary import COLUMNS, aligned, cautions, kept, row
from builder.report.wording import safe


class PlainReport:
    """Writes lines to ``stream``; a tool's own output only when ``verbose``."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        """Write what ``event`` says, if it says anything."""
        for line in self._lines(event):
            self._stream.write(safe(line) + "\n")
        self._stream.flush()

    def _lines(self, event: Event) -> list[str]:
        match event:
            case Planned():
                return [f"building {event.model} for {', '.join(event.targets)}"]
            case Hit():
                return [f"{_who(event.step)}: {describe(event.step.kind)}: cached"]
            case Started():
                return [f"{_who(event.step)}: {describe(event.step.kind)}"]
            case Logged():
                return [f"{_who(event.step)}: | {event.line}"] if self._verbose else []
            case Ran():
                done = f"{describe(event.step.kind)}: done in {event.seconds:.1f} s"
                return [f"{_who(event.step)}: {done}"]
            case Failed():
                return [f"{_who(event.step)}: {describe(event.step.kind)}: failed"]
            case Published():
                return [f"{event.receipt.target}: ok"]
            case Lost():
                return [f"{event.receipt.target}: failed"]
            case Finished():
                table = aligned([COLUMNS, *(row(receipt) for receipt in event.receipts)])
                return [*table, *kept(event.receipts), *cautions(event.receipts)]
        assert_never(event)


def _who(step: StepRef) -> str:
    return step.targets[0] if len(step.targets) == 1 else f"{len(step.targets)} targets"
