"""What the suites about boards share: one to deploy to, and orders for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from builder.boards.board import Board
from builder.boards.bundle import LocalBundle
from builder.boards.deploy import deploy
from builder.boards.draft import Order
from builder.boards.survey import take_stock
from builder.model.deployed import BoardEvent, Deployed, Emit
from builder.ports import Transport
from tests.bundles import NEEDS
from tests.userlands import Watched, board_on


class Bench:
    """A board with a root of its own, watched."""

    def __init__(self, transport: Transport, root: Path) -> None:
        self.watched = Watched(transport)
        self.root = root
        self.board: Board = board_on(self.watched, root)
        self.events: list[BoardEvent] = []

    def deploy(
        self, bundle: LocalBundle, *, listen: Emit = lambda _: None, **order: object
    ) -> Deployed:
        """Deploy as somebody who is not prepared to wait; ``listen`` hears before it goes on."""

        def emit(event: BoardEvent) -> None:
            self.events.append(event)
            listen(event)

        made = Order(bundle=bundle, needs=NEEDS, who="anna@lab", wait_s=0, keep=3)
        return deploy(self.board, replace(made, **order), emit)  # type: ignore[arg-type]

    @property
    def runs(self) -> str | None:
        """Return the word of the bundle that the board runs, None where it runs nothing."""
        current = self.root / "current"
        return (current / "share/word").read_text().strip() if current.exists() else None

    def releases(self) -> list[str]:
        """Return the ids of the releases there, the newest last."""
        return [release.id for release in take_stock(self.board).releases]
