"""Minute by minute: what a board still gives when it has become warm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from builder.bench.conditions import Conditions
from builder.bench.result import Block, Minute
from builder.bench.validity import throttled


def by_minute(blocks: Sequence[Block]) -> tuple[Minute, ...]:
    """Return the blocks of a sustained measurement summed up by minute, the first one first."""
    minutes: dict[int, list[Block]] = {}
    for block in blocks:
        if block.minute is not None:
            minutes.setdefault(block.minute, []).append(block)
    return tuple(_minute(number, within) for number, within in sorted(minutes.items()))


def _minute(number: int, blocks: Sequence[Block]) -> Minute:
    samples = np.concatenate([block.latency_us for block in blocks])
    return Minute(
        minute=number,
        median_us=float(np.median(samples)),
        samples=samples.size,
        throttled=any(throttled(block.before, block.after) for block in blocks),
        celsius=hottest(blocks[-1].after),
    )


def hottest(conditions: Conditions) -> float | None:
    """Return the temperature of the hottest zone, in degrees Celsius."""
    return max((zone.celsius for zone in conditions.temperatures), default=None)
