"""Concatenations without copies: their parts are written where the whole has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate

from builder.compiler.plan import ALIGNMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Buffers, by their numbers, that a kernel copies one behind the other into ``whole``."""

    parts: tuple[int, ...]
    whole: int


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes of a buffer from ``start`` on, as many as what lies there has."""

    buffer: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Which of the joins need no kernel, and where their parts lie instead of on their own."""

    without_copy: frozenset[Join]
    spans: Mapping[int, Span]

    def home(self, buffer: int) -> Span:
        """Return where a buffer lies: in one that is no part of another."""
        start = 0
        while buffer in self.spans:
            span = self.spans[buffer]
            buffer, start = span.buffer, start + span.start
        return Span(buffer, start)


NONE = Joined(without_copy=frozenset(), spans={})


def joined(joins: Sequence[Join], sizes: Sequence[int], apart: Set[int]) -> Joined:
    """Return which joins, in the order of their calls, can do without a kernel.

    ``sizes`` are the bytes of all buffers; those in ``apart`` have a place of their own. A buffer
    is part of one other at most, but a join that begins with all parts of an earlier one takes that
    one's whole.
    """
    spans: dict[int, Span] = {}
    wholes: dict[tuple[int, ...], int] = {}
    without_copy = set()
    for join in joins:
        parts = _shortened(join.parts, wholes)
        wholes.setdefault(join.parts, join.whole)
        starts = [0, *accumulate(sizes[part] for part in parts)][:-1]
        free = not any(part in apart or part in spans for part in parts)
        aligned = not any(start % ALIGNMENT for start in starts)
        if free and aligned and len(set(parts)) == len(parts):
            spans.update(
                (part, Span(join.whole, start)) for part, start in zip(parts, starts, strict=True)
            )
            without_copy.add(join)
    return Joined(without_copy=frozenset(without_copy), spans=spans)


def _shortened(parts: tuple[int, ...], wholes: Mapping[tuple[int, ...], int]) -> tuple[int, ...]:
    """Return ``parts`` with the most of its first ones replaced by what is made of them."""
    for count in range(len(parts) - 1, 1, -1):
        if parts[:count] in wholes:
            return (wholes[parts[:count]], *parts[count:])
    return parts
