"""TreeEnsembleRegressor and TreeEnsembleClassifier: every node tells its tree and its number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from builder.compiler.trees.attributes import (
    AGGREGATES,
    MISSING,
    WAYS,
    Array,
    Attributes,
    malformed,
    real,
    require_lengths,
    text,
    tracked,
    whole,
)
from builder.compiler.trees.forest import Forest, Leaves, Nodes, forest_of

_LEAF = "LEAF"


def read(attributes: Attributes) -> Forest:
    """Return the trees of a node's attributes. Raises ``ModelRefused`` ``malformed-trees``."""
    trees, numbers = whole(attributes, "nodes_treeids"), whole(attributes, "nodes_nodeids")
    modes = [text(mode) for mode in attributes.get("nodes_modes", ())]
    features, thresholds = whole(attributes, "nodes_featureids"), real(attributes, "nodes_values")
    after = [whole(attributes, f"nodes_{answer}nodeids") for answer in ("true", "false")]
    is_leaf = np.asarray([mode == _LEAF for mode in modes], np.bool_)
    require_lengths([trees, numbers, is_leaf, features, thresholds, *after])
    kind = "class" if "class_ids" in attributes else "target"
    owners = [whole(attributes, f"{kind}_{name}") for name in ("treeids", "nodeids")]
    targets, weights = whole(attributes, f"{kind}_ids"), real(attributes, f"{kind}_weights")
    require_lengths([*owners, targets, weights])
    rows = _rows([(trees, numbers), *((trees, each) for each in after), tuple(owners)])
    left, right = (_found(each, is_leaf) for each in rows[:2])
    leaf = np.where(is_leaf, np.cumsum(is_leaf) - 1, -1)
    nodes = Nodes(
        features=np.where(is_leaf, 0, features),
        thresholds=thresholds,
        ways=_ways(modes) | np.where(tracked(attributes, len(modes)), MISSING, 0),
        left=left,
        right=right,
        leaf=leaf,
    )
    return forest_of(
        nodes=nodes,
        leaves=_leaves(leaf, rows[2], targets, weights),
        roots=_first_of_runs(trees),
        n_targets=_target_count(attributes),
        aggregate=_aggregate(attributes),
        base=real(attributes, "base_values"),
    )


def _ways(modes: Sequence[str]) -> Array:
    unknown = set(modes) - {_LEAF, *WAYS}
    if unknown:
        raise malformed(f"ONNX knows no mode {min(unknown)!r:.40}")
    return np.asarray([WAYS.get(mode, 0) for mode in modes], np.int64)


def _rows(keys: Sequence[tuple[Array, ...]]) -> list[Array]:
    """Return in which row of the first keys the others stand, -1 for those that do not."""
    columns = [np.concatenate([each[column] for each in keys]) for column in (0, 1)]
    _, ids = np.unique(_as_one(*columns), return_inverse=True)
    own, *others = np.split(ids, np.cumsum([len(each[0]) for each in keys])[:-1])
    row = np.full(int(ids.max(initial=0)) + 1, -1, np.int64)
    row[own] = np.arange(len(own))
    if (row[own] != np.arange(len(own))).any():
        raise malformed("a node is there twice")
    return [row[each] for each in others]


def _as_one(trees: Array, numbers: Array) -> Array:
    """Return numbers that are equal where both trees and numbers are."""
    _, ids = np.unique(trees, return_inverse=True)
    _, places = np.unique(numbers, return_inverse=True)
    return np.asarray(ids * (int(places.max(initial=0)) + 1) + places)


def _found(rows: Array, is_leaf: Array) -> Array:
    """Return where answers lead; leaves lead to themselves."""
    own = np.arange(len(rows))
    if (rows[~is_leaf] < 0).any() or (rows == own)[~is_leaf].any():
        raise malformed("an answer leads to no node, or to the one that asks")
    return np.where(is_leaf, own, rows)


def _leaves(leaf: Array, owners: Array, targets: Array, weights: Array) -> Leaves:
    """Gather weights by leaf; what stands at a node that asks is never added."""
    if (owners < 0).any():
        raise malformed("a weight stands at no node")
    numbers = leaf[owners]
    order = np.argsort(numbers, kind="stable")
    order = order[numbers[order] >= 0]
    counts = np.bincount(numbers[order], minlength=int(leaf.max(initial=-1)) + 1)
    return Leaves(
        starts=np.concatenate([[0], np.cumsum(counts)]),
        targets=targets[order],
        weights=weights[order],
    )


def _first_of_runs(trees: Array) -> Array:
    """Return where another tree begins: ONNX Runtime takes the node that stands first for root."""
    return np.flatnonzero(np.concatenate([[True], trees[1:] != trees[:-1]])[: len(trees)])


def _target_count(attributes: Attributes) -> int:
    labels = (attributes.get(f"classlabels_{kind}") for kind in ("strings", "int64s"))
    classes = next((len(found) for found in labels if found), 0)
    return int(attributes.get("n_targets", classes))


def _aggregate(attributes: Attributes) -> str:
    name = text(attributes.get("aggregate_function", "SUM"))
    if name not in AGGREGATES:
        raise malformed(f"ONNX knows no way {name!r:.40} to put scores together")
    return name
