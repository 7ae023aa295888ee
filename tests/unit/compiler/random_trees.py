"""Trees grown at random, as the attributes of ONNX's operators, and features to ask them about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

Array = npt.NDArray[Any]
F = np.float32

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
THRESHOLDS = (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
FEATURES = 4

Targets = Callable[[np.random.Generator], Sequence[int]]


def one_of(count: int) -> Targets:
    """Return leaves that add to one target each."""
    return lambda rng: [int(rng.integers(count))]


def some_of(count: int) -> Targets:
    """Return leaves that add to the first target or to several."""
    return lambda rng: [t for t in range(count) if rng.random() < 0.5] or [0]


def these(*targets: int) -> Targets:
    """Return leaves that all add to the same targets."""
    return lambda _: targets


ONE = one_of(1)


@dataclass(kw_only=True)
class Growing:
    """Lists as TreeEnsembleRegressor has them, while trees grow."""

    rng: np.random.Generator
    modes: Sequence[str]
    targets: Targets
    positive: bool
    nodes: list[tuple[Any, ...]] = field(default_factory=list)
    weights: list[tuple[Any, ...]] = field(default_factory=list)

    def grow(self, tree: int, depth: int) -> None:
        self._below(tree, depth, first=len(self.nodes))

    def _below(self, tree: int, depth: int, first: int) -> int:
        rng, number = self.rng, len(self.nodes) - first
        self.nodes.append(())
        if depth == 0 or rng.random() < 0.15:
            self.nodes[first + number] = (tree, number, 0, "LEAF", 0.0, 0, 0, 0)
            for target in self.targets(rng):
                weight = float(F(rng.standard_normal() / 4))
                self.weights.append(
                    (tree, number, target, abs(weight) if self.positive else weight)
                )
            return number
        asked = (int(rng.integers(FEATURES)), str(rng.choice(list(self.modes))))
        threshold, tracks = float(rng.choice(THRESHOLDS)), int(rng.integers(2))
        after = [self._below(tree, depth - 1, first) for _ in range(2)]
        self.nodes[first + number] = (tree, number, *asked, threshold, *after, tracks)
        return number


def grown(
    kind: str,
    *,
    seed: int = 0,
    trees: int = 9,
    depth: int = 4,
    modes: Sequence[str] = ("BRANCH_LEQ",),
    targets: Targets = ONE,
    tracks: bool = False,
    positive: bool = False,
    dtype: Any = F,
    **others: Any,
) -> dict[str, Any]:
    """Return attributes with ``kind`` ("target" or "class") weights; doubles come in tensors."""
    growing = Growing(
        rng=np.random.default_rng(seed), modes=modes, targets=targets, positive=positive
    )
    for tree in range(trees):
        growing.grow(tree, depth)
    columns = [list(column) for column in zip(*growing.nodes, strict=True)]
    names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    made = {f"nodes_{name}": column for name, column in zip(names, columns, strict=False)}
    if tracks:
        made["nodes_missing_value_tracks_true"] = columns[-1]
    parts = [list(column) for column in zip(*growing.weights, strict=True)]
    for name, column in zip(("treeids", "nodeids", "ids", "weights"), parts, strict=True):
        made[f"{kind}_{name}"] = column
    if dtype == np.float64:
        for name in ("nodes_values", f"{kind}_weights"):
            made[f"{name}_as_tensor"] = numpy_helper.from_array(np.asarray(made.pop(name), dtype))
    return made | others


def asked(rows: int, *, seed: int = 1, dtype: Any = F, width: int = FEATURES) -> Array:
    """Return features of which many are thresholds, NaN or infinite."""
    rng = np.random.default_rng(seed)
    shape = (rows, width)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(-2, 3, shape).astype(dtype)
    values = rng.standard_normal(shape)
    odd = [*THRESHOLDS, *THRESHOLDS, np.nan, np.inf, -np.inf, np.nan]
    chosen = rng.choice(odd, shape)
    return np.where(rng.random(shape) < 0.5, chosen, values).astype(dtype)


MEMBERS = np.asarray([1, 0.5, np.nan, 2, np.nan], F)


def by_index(dtype: Any = F, **others: Any) -> dict[str, Any]:
    """Return a TreeEnsemble of two trees that share nodes, in every mode but one."""
    modes = np.asarray([0, 6, 3, 4, 6, 5, 2], np.uint8)
    return {
        **{"n_targets": 2, "tree_roots": [0, 4], "nodes_featureids": [0, 1, 2, 0, 2, 1, 0]},
        "nodes_modes": numpy_helper.from_array(modes),
        "nodes_splits": numpy_helper.from_array(np.asarray([0.5, 0, -0.5, 1, 0, 1, -1], dtype)),
        **{"nodes_truenodeids": [1, 0, 2, 3, 5, 5, 7], "nodes_trueleafs": [0, 1, 1, 1, 0, 1, 1]},
        **{"nodes_falsenodeids": [2, 1, 3, 4, 6, 6, 8], "nodes_falseleafs": [0, 1, 0, 1, 0, 1, 1]},
        "membership_values": numpy_helper.from_array(MEMBERS.astype(dtype)),
        "leaf_targetids": [0, 1, 0, 1, 0, 1, 0, 1, 1],
        "leaf_weights": numpy_helper.from_array(np.arange(1, 10).astype(dtype) / 30),
        **others,
    }
