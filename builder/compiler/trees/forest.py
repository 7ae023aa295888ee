"""The tables of trees, and what can be told from them.

A node asks how one feature compares with a threshold, and leads left where the answer is among its
``ways``, else right. A leaf leads to itself. Whoever walks from a root on so comes to a leaf,
whatever the features hold: ``forest_of`` lets nothing else pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from builder.compiler.trees.attributes import Array, malformed

MOST_FEATURES = 1 << 26
MOST_NODES = 1 << 30
"""A table's entry of 32 bits holds a feature beside the ways, or a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Tables of [n]; ``leaf`` numbers the leaves and is -1 elsewhere."""

    features: Array
    thresholds: Array
    ways: Array
    left: Array
    right: Array
    leaf: Array

    @property
    def asking(self) -> Array:
        """Say which nodes ask."""
        return np.asarray(self.leaf < 0)

    @property
    def width(self) -> int:
        """Return how many features there must be."""
        return int(self.features[self.asking].max(initial=-1)) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """Leaf ``l`` adds ``weights`` to ``targets`` from ``starts[l]`` up to ``starts[l + 1]``."""

    starts: Array
    targets: Array
    weights: Array

    @property
    def width(self) -> int | None:
        """Return how many weights every leaf has, None where they differ."""
        counts = np.diff(self.starts)
        return int(counts[0]) if counts.size and (counts == counts[0]).all() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Trees by their ``roots``; what they add comes together by ``aggregate``, then ``base``."""

    nodes: Nodes
    leaves: Leaves
    roots: Array
    n_targets: int
    aggregate: str
    base: Array | None

    def scored(self) -> tuple[bool | None, ...]:
        """Say of each target whether something is added to it: always, never, or it depends."""
        count = len(self.leaves.starts) - 1
        owners = np.repeat(np.arange(count), np.diff(self.leaves.starts))
        by_tree: list[Array] = []
        found: list[bool | None] = []
        for target in range(self.n_targets):
            adds = np.zeros(count, np.bool_)
            adds[owners[self.leaves.targets == target]] = True
            if adds.all() or not adds.any():
                found.append(bool(adds.any()))
                continue
            by_tree = by_tree or [self._leaves_below(int(root)) for root in self.roots]
            found.append(True if any(adds[below].all() for below in by_tree) else None)
        return tuple(found)

    def _leaves_below(self, root: int) -> Array:
        return np.asarray(
            [self.nodes.leaf[n] for n in self._below(root) if self.nodes.leaf[n] >= 0]
        )

    def _below(self, root: int) -> Iterator[int]:
        waiting, seen = [root], {root}
        while waiting:
            node = waiting.pop()
            yield node
            after = {int(self.nodes.left[node]), int(self.nodes.right[node])} - seen
            seen |= after
            waiting += after


def forest_of(
    *,
    nodes: Nodes,
    leaves: Leaves,
    roots: Array,
    n_targets: int,
    aggregate: str,
    base: Array,
) -> Forest:
    """Return tables that are safe to walk. Raises ``ModelRefused`` ``malformed-trees``."""
    features = nodes.features[nodes.asking]
    if not roots.size or n_targets < 1:
        raise malformed("it has no tree, or nothing to add to")
    if features.min(initial=0) < 0 or features.max(initial=0) >= MOST_FEATURES:
        raise malformed("a node asks for a feature that cannot be")
    if len(nodes.leaf) >= MOST_NODES:
        raise malformed("it has too many nodes")
    targets = leaves.targets
    if targets.min(initial=0) < 0 or targets.max(initial=0) >= n_targets:
        raise malformed("a leaf adds to a target that is not there")
    _require_ends(nodes, roots)
    return Forest(
        nodes=nodes,
        leaves=leaves,
        roots=roots,
        n_targets=n_targets,
        aggregate=aggregate,
        base=base if len(base) == n_targets else None,
    )


def _require_ends(nodes: Nodes, roots: Array) -> None:
    """Refuse answers that lead in circles."""
    asking = np.flatnonzero(nodes.asking)
    parents = np.zeros(len(nodes.leaf), np.int64)
    for after in (nodes.left, nodes.right):
        np.add.at(parents, after[asking], 1)
    if parents.max(initial=0) <= 1 and not parents[roots].any():
        return  # a circle that is entered has a node with two ways into it
    _require_no_circle(nodes, roots)


def _require_no_circle(nodes: Nodes, roots: Array) -> None:
    left, right = nodes.left.tolist(), nodes.right.tolist()
    done = (~nodes.asking).tolist()
    entered = [False] * len(done)
    waiting = roots.tolist()
    while waiting:
        node = waiting[-1]
        if done[node] or entered[node]:
            done[waiting.pop()] = True
            continue
        entered[node] = True
        for after in (left[node], right[node]):
            if entered[after] and not done[after]:
                raise malformed("its nodes lead in a circle")
            waiting.append(after)
