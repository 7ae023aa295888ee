"""TreeEnsemble: answers lead to nodes and leaves by index; a set may be asked for its members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from builder.compiler.trees.attributes import (
    AGGREGATES,
    EQUAL,
    MISSING,
    WAYS,
    Array,
    Attributes,
    malformed,
    real,
    require_lengths,
    tracked,
    whole,
)
from builder.compiler.trees.forest import Forest, Leaves, Nodes, forest_of

_MEMBER = len(WAYS)


def read(attributes: Attributes) -> Forest:
    """Return the trees of a node's attributes. Raises ``ModelRefused`` ``malformed-trees``."""
    modes = real(attributes, "nodes_modes").astype(np.int64)
    features, splits = whole(attributes, "nodes_featureids"), real(attributes, "nodes_splits")
    targets, weights = whole(attributes, "leaf_targetids"), real(attributes, "leaf_weights")
    require_lengths([targets, weights])
    if modes.size and not 0 <= modes.min() <= modes.max() <= _MEMBER:
        raise malformed("a node has a mode that ONNX does not know")
    after = [_after(attributes, name, len(modes), len(targets)) for name in ("true", "false")]
    require_lengths([modes, features, splits, *after])
    ways = np.asarray([*WAYS.values(), EQUAL], np.int64)[modes]
    ways |= np.where(tracked(attributes, len(modes)), MISSING, 0)
    asking = _Asking(features, splits, ways, *after)
    asking.ask_for_members(np.flatnonzero(modes == _MEMBER), _sets(attributes))
    roots = whole(attributes, "tree_roots")
    if roots.size and not 0 <= roots.min() <= roots.max() < len(modes):
        raise malformed("a root is no node")
    way = int(attributes.get("aggregate_function", AGGREGATES.index("SUM")))
    if not 0 <= way < len(AGGREGATES):
        raise malformed("ONNX knows no such way to put scores together")
    return forest_of(
        nodes=asking.with_leaves(len(targets)),
        leaves=Leaves(starts=np.arange(len(targets) + 1), targets=targets, weights=weights),
        roots=roots,
        n_targets=int(attributes.get("n_targets", 0)),
        aggregate=AGGREGATES[way],
        base=np.empty(0, np.float32),
    )


def _after(attributes: Attributes, answer: str, nodes: int, leaves: int) -> Array:
    """Return where an answer leads: a node's index, or -1 - a leaf's."""
    index = whole(attributes, f"nodes_{answer}nodeids")
    is_leaf = whole(attributes, f"nodes_{answer}leafs") != 0
    require_lengths([index, is_leaf])
    if (index < 0).any() or (index >= np.where(is_leaf, leaves, nodes)).any():
        raise malformed("an answer leads to no node and no leaf")
    return np.where(is_leaf, -1 - index, index)


def _sets(attributes: Attributes) -> list[Array]:
    """Return the sets that nodes ask for; each ends with a NaN."""
    values = real(attributes, "membership_values")
    parts = np.split(values, np.flatnonzero(np.isnan(values)) + 1)
    return [part[~np.isnan(part)] for part in parts if len(part)]


class _Asking:
    """The nodes that ask, while more are added behind them."""

    def __init__(
        self, features: Array, splits: Array, ways: Array, left: Array, right: Array
    ) -> None:
        self._dtype = splits.dtype
        self._columns = [each.tolist() for each in (features, splits, ways, left, right)]

    def ask_for_members(self, nodes: Array, sets: Sequence[Array]) -> None:
        """Let nodes ask for one member after the other: whoever is found goes left."""
        if len(sets) < len(nodes):
            raise malformed("a node asks for the members of a set that is not there")
        for node, members in zip(nodes.tolist(), sets, strict=False):
            self._ask(node, members.tolist())

    def _ask(self, node: int, members: Sequence[float]) -> None:
        features, splits, ways, left, right = self._columns
        if not members:
            ways[node] &= MISSING
            return
        splits[node] = members[0]
        for member in members[1:]:
            added = len(ways)
            rest = (features[node], member, EQUAL, left[node], right[node])
            right[node] = added
            for column, value in zip(self._columns, rest, strict=True):
                column.append(value)
            node = added

    def with_leaves(self, count: int) -> Nodes:
        """Return these nodes, and the leaves behind them."""
        asking = len(self._columns[0])
        leaf = np.concatenate([np.full(asking, -1), np.arange(count)])
        features, splits, ways, left, right = self._padded(count)
        own = np.arange(asking, asking + count)
        after = [
            np.concatenate(
                [np.where(each[:asking] < 0, asking - 1 - each[:asking], each[:asking]), own]
            )
            for each in (left, right)
        ]
        return Nodes(
            features=features,
            thresholds=splits.astype(self._dtype),
            ways=ways,
            left=after[0],
            right=after[1],
            leaf=leaf,
        )

    def _padded(self, count: int) -> Iterator[Array]:
        return (np.asarray([*column, *[0] * count]) for column in self._columns)
