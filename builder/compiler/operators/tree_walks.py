"""A step through a tree, and what the leaf at its end adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.trees.attributes import EQUAL, GREATER, LESS, MISSING
from builder.compiler.trees.forest import Leaves, Nodes

FEATURE, THRESHOLD, LEFT, RIGHT = range(4)
"""Columns of the table of nodes; a leaf's threshold is its number."""

WAY_BITS = 4
"""Of the first column, below the feature."""

_TESTS: dict[int, Callable[[Any, Any], Any]] = {
    LESS: lambda x, t: x < t,
    EQUAL: lambda x, t: x == t,
    GREATER: lambda x, t: x > t,
    LESS | EQUAL: lambda x, t: x <= t,
    GREATER | EQUAL: lambda x, t: x >= t,
    MISSING: lambda x, _: tirx.isnan(x),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Steps over the table ``nodes``; ``threshold`` reads a node's, in the features' type."""

    data: Any
    nodes: Any
    threshold: Callable[[Any], Any]
    asked: Nodes

    def after(self, row: Any, node: Any) -> Any:
        """Return where a node leads a row."""
        held = self.nodes[node, FEATURE]
        value = self.data[row, T.shift_right(held, T.int32(WAY_BITS))]
        left = self._goes_left(held, value, self.threshold(node))
        return tirx.Select(left, self.nodes[node, LEFT], self.nodes[node, RIGHT])

    def leaf(self, node: Any) -> Any:
        """Return the number of the leaf that a node is."""
        return self.nodes[node, THRESHOLD]

    def _goes_left(self, held: Any, value: Any, threshold: Any) -> Any:
        """Ask what all nodes ask alike at once; where they differ, a node's own bits say."""
        ways = self.asked.ways[self.asked.asking]
        every = int(np.bitwise_and.reduce(ways)) if ways.size else 0
        some = int(np.bitwise_or.reduce(ways)) if ways.size else 0
        answers = [_TESTS[way](value, threshold) for way in _together(every)]
        for way in (LESS, EQUAL, GREATER, MISSING):
            if way & some & ~every:
                own = T.bitwise_and(held, T.int32(way)) != T.int32(0)
                answers.append(tirx.all(own, _TESTS[way](value, threshold)))
        return tirx.any(*answers) if answers else T.bool(False)


def _together(ways: int) -> Iterator[int]:
    """Yield ways that one comparison tests."""
    for pair in (LESS | EQUAL, GREATER | EQUAL):
        if ways & pair == pair:
            yield pair
            ways &= ~pair
    yield from (way for way in (LESS, EQUAL, GREATER, MISSING) if ways & way)


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What leaves add: ``targets`` is None where each adds to all in order, ``starts`` where each
    adds as many numbers."""

    leaves: Leaves
    weights: Any
    targets: Any
    starts: Any

    @contextmanager
    def by_leaf(self, leaf: Any) -> Iterator[tuple[Any, Any]]:
        """Loop over the (target, weight) of a leaf."""
        if self.starts is None:
            count = self.leaves.width
            first = leaf * count
        else:
            first = T.bind(self.starts[leaf])
            count = self.starts[leaf + 1] - first
        with T.serial(0, count) as number:
            at = first + number
            yield number if self.targets is None else self.targets[at], self.weights[at]
