"""Tiles that a board measures: bundles in which kernels take other tiles, and what came of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from builder.model.tuning import Contest, Finding, TunedTile
from builder.tuning.judging import clearly_faster

Times = Mapping[str, float]
"""Microseconds that each kernel took in a run of the model, by ``Contest.kernel``."""


def load_shortlist(text: str) -> tuple[Contest, ...]:
    """Return what a ``Shortlist`` step wrote."""
    return tuple(_contest(fields) for fields in json.loads(text))


def trials(contests: Sequence[Contest], cpu: str) -> list[tuple[TunedTile, ...]]:
    """Return the tiles of each bundle to measure; the first has the usual ones alone.

    In the n-th all kernels that have so many candidates take their n-th.
    """
    number = max((len(contest.tiles) for contest in contests), default=1)
    return [tuple(_tiles(contests, cpu, place)) for place in range(number)]


def best(contests: Sequence[Contest], heats: Mapping[int, Sequence[Times]]) -> dict[str, int]:
    """Return the trial that was the fastest, by kernel; ``heats`` are each trial's rounds."""

    def median(kernel: str, trial: int) -> float:
        return statistics.median(times[kernel] for times in heats[trial])

    return {
        contest.kernel: min(
            range(len(contest.tiles)), key=lambda trial: median(contest.kernel, trial)
        )
        for contest in contests
    }


def challengers(fastest: Mapping[str, int]) -> list[int]:
    """Return the trials that race once more, the usual one first; none where it won them all."""
    others = sorted(set(fastest.values()) - {0})
    return [0, *others] if others else []


def findings(
    contests: Sequence[Contest],
    cpu: str,
    fastest: Mapping[str, int],
    rounds: Mapping[int, Sequence[Times]],
) -> Iterator[Finding]:
    """Yield what is known of each kernel in the end.

    ``rounds`` are each trial's: those of the final, for trials that were in it.
    """
    for contest in contests:
        usual_us = [times[contest.kernel] for times in rounds[0]]
        winner, winner_us = 0, usual_us
        if trial := fastest[contest.kernel]:
            challenger_us = [times[contest.kernel] for times in rounds[trial]]
            if clearly_faster(challenger_us, usual_us):
                winner, winner_us = trial, challenger_us
        yield Finding(
            kernel=contest.kernel,
            cpu=cpu,
            description=contest.description,
            tile=contest.tiles[winner],
            usual=contest.tiles[0],
            tile_us=round(statistics.median(winner_us), 3),
            usual_us=round(statistics.median(usual_us), 3),
        )


def _tiles(contests: Sequence[Contest], cpu: str, place: int) -> Iterator[TunedTile]:
    for contest in contests:
        if 0 < place < len(contest.tiles):
            yield TunedTile(kernel=contest.kernel, cpu=cpu, tile=contest.tiles[place])


def _contest(fields: Mapping[str, Any]) -> Contest:
    return Contest(
        kernel=fields["kernel"],
        description=fields["description"],
        tiles=tuple(tuple(tile) for tile in fields["tiles"]),
        calls=tuple(fields["calls"]),
    )
