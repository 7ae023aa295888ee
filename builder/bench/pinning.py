"""Which cores to measure on: the fastest, one thread a physical core, away from core 0."""

from __future__ import annotations

from collections.abc import Sequence

from builder.bench.conditions import Conditions, Core
from builder.errors import UsageError


def choose_cores(conditions: Conditions, threads: int) -> tuple[int, ...]:
    """Return ``threads`` cores of a board, in ascending order; empty: it does not tell its cores.

    Raises ``UsageError`` ``too-few-cores``.
    """
    usable = _usable(conditions)
    if not usable:
        return ()
    if threads > len(usable):
        raise UsageError(
            f"{threads} threads need as many cores; the board has {len(usable)} to use",
            reason="too-few-cores",
            remedy=f"give --threads {len(usable)} or fewer",
        )
    return tuple(sorted(core.number for core in _ranked(usable)[:threads]))


def fitting(conditions: Conditions, wanted: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of threads that the board has cores for, each once; at least one."""
    cores = len(_usable(conditions))
    kept = dict.fromkeys(min(threads, cores) if cores else threads for threads in wanted)
    return tuple(kept) or (1,)


def _usable(conditions: Conditions) -> list[Core]:
    allowed = frozenset(conditions.allowed)
    return [core for core in conditions.cores if not allowed or core.number in allowed]


def _ranked(cores: Sequence[Core]) -> list[Core]:
    """Return cores by wish: a second thread of a physical core comes after all first ones."""
    met: dict[str, int] = {}
    order: list[tuple[int, int, int, Core]] = []
    for core in sorted(cores, key=lambda core: -core.number):  # core 0 takes most interrupts
        group = core.group or str(core.number)
        met[group] = met.get(group, -1) + 1
        order.append((met[group], -(core.limit_khz or core.max_khz or 0), -core.number, core))
    return [core for *_, core in sorted(order, key=lambda entry: entry[:3])]
