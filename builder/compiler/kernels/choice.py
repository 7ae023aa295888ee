"""Which of its candidate tiles a schedule takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Tile = tuple[int, ...]
"""Extents that a schedule asked for, in the order its cost model names them."""


class Choice(Protocol):
    """Takes one of the tiles that a cost model offers, the best it knows first."""

    def pick(self, candidates: Sequence[Tile]) -> Tile:
        """Return one of ``candidates``, of which there is at least one."""
        ...


class _First:
    def pick(self, candidates: Sequence[Tile]) -> Tile:
        return candidates[0]


FIRST: Choice = _First()
"""What the cost model holds best."""
