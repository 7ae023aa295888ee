"""A link that died while a board was measured: was it the link, or did the board start anew?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from builder.bench.result import Measurement, Problem
from builder.boards.board import Board
from builder.boards.measure import Outcome
from builder.boards.snapshot import survey
from builder.errors import BoardwrightError, DeviceLost

Return = Callable[[], AbstractContextManager[Board]]
"""Connects to the same board once more."""

_TRIES = 12
_BETWEEN_S = 5.0


def explained(
    outcomes: Sequence[Outcome], again: Return, *, pause: Callable[[float], object]
) -> tuple[Outcome, ...]:
    """Return the outcomes; where the link died and the board has another boot id, as rebooted.

    A board gets a minute to come back; ``pause`` waits for so many seconds.
    """
    *earlier, last = outcomes
    if not isinstance(last.failure, DeviceLost) or last.boot_id is None:
        return tuple(outcomes)
    now = _boot_id_again(again, pause)
    return tuple(outcomes) if now in (None, last.boot_id) else (*earlier, _rebooted(last))


def _boot_id_again(again: Return, pause: Callable[[float], object]) -> str | None:
    for _ in range(_TRIES):
        try:
            with again() as board:
                _, conditions = survey(
                    board.transport, token=board.nonce(), sysfs_root="", where=board.name
                )
                return conditions.boot_id
        except BoardwrightError:
            pause(_BETWEEN_S)
    return None


def _rebooted(outcome: Outcome) -> Outcome:
    """Return the outcome as one that its board did not live through: invalid, not lost."""
    return replace(
        outcome,
        new=_marked(outcome.new),
        old=_marked(outcome.old) if outcome.old else None,
        failure=None,
    )


def _marked(measurement: Measurement) -> Measurement:
    problem = Problem(
        reason="rebooted", where="the end", what="the board started anew while it was measured"
    )
    return replace(measurement, problems=(problem, *measurement.problems))
