"""What a board is, and what is on it; reading changes nothing there."""

from __future__ import annotations

from builder.boards.board import Board
from builder.deploy.facts import DeviceFacts, facts_of
from builder.deploy.layout import Inventory, inventory_of


def probe(board: Board) -> DeviceFacts:
    """Return what the board is."""
    return facts_of(board.ask("probe"), where=board.name)


def take_stock(board: Board) -> Inventory:
    """Return what is on the board. A root that is missing is an empty one."""
    return inventory_of(board.ask("inventory"), where=board.name)
