"""Which of its candidate tiles a schedule takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from builder.model.tuning import Tile

__all__ = ["FIRST", "Choice", "Tile"]


class Choice(Protocol):
    """Takes one of the tiles that a cost model offers, the best it knows first.

    A schedule asks once: where it has several tiles to choose, a candidate is all of them in a row.
    """

    def pick(self, candidates: Sequence[Tile]) -> Tile:
        """Return one of ``candidates``, of which there is at least one."""
        ...


class _First:
    def pick(self, candidates: Sequence[Tile]) -> Tile:
        return candidates[0]


FIRST: Choice = _First()
"""What the cost model holds best."""
