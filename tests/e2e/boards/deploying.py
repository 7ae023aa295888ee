"""Deployments over real links: one place on one board, counted and looked at from outside."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

from builder.boards.board import Board
from builder.boards.bundle import LocalBundle, read_bundle
from builder.boards.deploy import deploy
from builder.boards.draft import Order
from builder.model.deployed import BoardEvent, Deployed, Reached
from builder.model.device import Completed
from builder.ports import Transport
from tests.bundles import NEEDS
from tests.e2e.boards.simulated import HOME, BoardSet, SimulatedBoard

Listener = Callable[[BoardEvent], None]


class Counted:
    """A transport that counts the bytes it is given to send."""

    def __init__(self, inner: Transport) -> None:
        self.handed_bytes = 0
        self._inner = inner

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        on_stdout: Callable[[bytes], None] | None = None,
        limit_bytes: int = 1 << 20,
        timeout_s: float = 60.0,
    ) -> Completed:
        return self._inner.run(
            command, stdin=stdin, on_stdout=on_stdout, limit_bytes=limit_bytes, timeout_s=timeout_s
        )

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        counting = cast(BinaryIO, _Counting(source, self._count))
        self._inner.put(counting, path, offset=offset, on_sent=on_sent)

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        return self._inner.get(path, sink, limit_bytes=limit_bytes)

    def _count(self, size_bytes: int) -> None:
        self.handed_bytes += size_bytes


class _Counting:
    def __init__(self, source: BinaryIO, count: Callable[[int], None]) -> None:
        self._source = source
        self._count = count

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self._count(len(piece))
        return piece


@dataclass(kw_only=True)
class Bench:
    """A folder on a board, and one connection to it. ``events`` are of all deployments so far."""

    simulated: SimulatedBoard
    transport: Counted
    root: Path
    events: list[BoardEvent] = field(default_factory=list)

    @classmethod
    @contextmanager
    def on(cls, boards: BoardSet, name: str, folder: str) -> Iterator[Bench]:
        """Connect; ``folder`` becomes a name below the board's home."""
        root = HOME / re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:60]
        with boards.connected(name) as transport:
            yield cls(simulated=boards[name], transport=Counted(transport), root=root)

    @property
    def board(self) -> Board:
        return Board(
            name=self.simulated.name,
            transport=self.transport,
            root=str(self.root),
            nonce=lambda: secrets.token_hex(8),
            cancel=threading.Event(),
        )

    def deploy(
        self, bundle: LocalBundle, *, listen: Listener = lambda _: None, **order: object
    ) -> Deployed:
        """Deploy ``bundle``; ``listen`` hears of everything before it goes on."""

        def emit(event: BoardEvent) -> None:
            self.events.append(event)
            listen(event)

        made = Order(bundle=bundle, needs=NEEDS, who="anna@lab", wait_s=0, keep=3)
        return deploy(self.board, replace(made, **order), emit)  # type: ignore[arg-type]

    @property
    def stages(self) -> list[str]:
        return [event.stage for event in self.events if isinstance(event, Reached)]

    def runs(self) -> str | None:
        return runs(self.simulated, self.root)


def runs(board: SimulatedBoard, root: Path) -> str | None:
    """Return the id of the release that a board runs, None where it runs nothing.

    Fails where that is no release whole: every file is hashed, and so is every name.
    """
    link = board.path(root) / "current"
    if not link.is_symlink():
        return None
    release = board.path(root) / link.readlink()
    bundle = read_bundle(release)
    expected = {file.path: file.sha256 for file in bundle.files}
    found = {
        str(file.relative_to(release)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in release.rglob("*")
        if file.is_file()
    }
    assert found == expected, "a mix of releases"
    assert release.name.endswith(bundle.id)
    return bundle.id
