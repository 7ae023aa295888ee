"""Trees as products: every question is asked at once, and a path is taken whose answers all agree.

The transformation is "GEMM" of Nakandala et al., A Tensor Compiler for Unified Machine Learning
Prediction Serving (OSDI 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

from builder.compiler.prepare.rewriting import Rewrite, Site

Matrix = npt.NDArray[Any]

_MOST_STEPS = 1 << 20
_MOST_ELEMENTS = 1 << 26
"""Of all paths of a model, and of its products: with more it is no kernel for a board."""

_AVERAGE, _SUM = 0, 1
_COMPARISONS = ("LessOrEqual", "Less", "GreaterOrEqual", "Greater", "Equal")
_DIFFERS, _IS_MEMBER = 5, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """The way from a root to a leaf: each node with the answer to its question."""

    steps: Mapping[int, bool]
    leaf: int


def tree_ensemble(site: Site) -> bool:
    """TreeEnsemble whose leaves are summed: for each tree two products and a comparison."""
    way = site.attribute("aggregate_function", _SUM)
    tracks = any(site.attribute("nodes_missing_value_tracks_true") or ())
    if way not in (_AVERAGE, _SUM) or site.attribute("post_transform", 0) or tracks:
        return False
    trees = _trees(site)
    if trees is None or _elements(trees) > _MOST_ELEMENTS:
        return False
    dtype, (nodes, signs, wanted, weights) = site.dtype(0), _products(site, trees)
    asked = site.emit("Gather", _answers(site), nodes, axis=1)
    by_tree = site.emit("Transpose", asked, perm=[1, 0, 2])
    agreed = site.emit("MatMul", by_tree, signs.astype(dtype))
    taken = site.cast(site.emit("Equal", agreed, wanted.astype(dtype)), dtype)
    shares = len(trees) if way == _AVERAGE else 1
    leaves = site.emit("MatMul", taken, (weights / shares).astype(dtype))
    site.emit("ReduceSum", leaves, np.asarray([0]), to=site.node.output[0], keepdims=0)
    return True


def _trees(site: Site) -> list[list[_Path]] | None:
    """Return each tree's paths, or None where they are too many, or walk in circles."""
    after = _branches(site)
    trees: list[list[_Path]] = []
    budget = _MOST_STEPS
    for root in site.attribute("tree_roots"):
        trees.append([])
        waiting: list[tuple[int, dict[int, bool]]] = [(root, {})]
        while waiting:
            node, before = waiting.pop()
            budget -= len(before) + 1
            if budget < 0 or node in before:
                return None
            for answer, targets in after.items():
                target, is_leaf = targets[node]
                steps = {**before, node: answer}
                if is_leaf:
                    trees[-1].append(_Path(steps=steps, leaf=target))
                else:
                    waiting.append((target, steps))
    return trees


def _elements(trees: Sequence[Sequence[_Path]]) -> int:
    """Return at most how many answers all the paths could want."""
    paths = max(map(len, trees), default=0)
    return len(trees) * paths * paths  # a tree has a node less than paths, or shares them


def _branches(site: Site) -> dict[bool, list[tuple[int, int]]]:
    """Return where each node's answer leads, and whether to a leaf."""
    return {
        answer: list(
            zip(
                site.attribute(f"nodes_{name}nodeids"),
                site.attribute(f"nodes_{name}leafs"),
                strict=True,
            )
        )
        for answer, name in ((True, "true"), (False, "false"))
    }


def _products(site: Site, trees: Sequence[Sequence[_Path]]) -> tuple[Matrix, ...]:
    """Return each tree's nodes, the answers its paths want, how many, and what its leaves add.

    Shapes: [trees, nodes], [trees, nodes, paths], [trees, 1, paths], [trees, paths, targets];
    smaller trees are filled up with paths that nothing takes.
    """
    own = [sorted({node for path in tree for node in path.steps}) for tree in trees]
    most_nodes, most_paths = max(map(len, own)), max(map(len, trees))
    place = _places(site)
    nodes = np.zeros((len(trees), most_nodes), np.int64)
    signs = np.zeros((len(trees), most_nodes, most_paths))
    wanted = np.full((len(trees), 1, most_paths), -1)
    weights = np.zeros((len(trees), most_paths, site.attribute("n_targets")))
    leaves, targets = _tensor(site, "leaf_weights"), site.attribute("leaf_targetids")
    for number, (tree, asked) in enumerate(zip(trees, own, strict=True)):
        nodes[number, : len(asked)] = place[asked]
        row = {node: position for position, node in enumerate(asked)}
        for column, path in enumerate(tree):
            for node, answer in path.steps.items():
                signs[number, row[node], column] = 1 if answer else -1
            wanted[number, 0, column] = sum(path.steps.values())
            weights[number, column, targets[path.leaf]] = leaves[path.leaf]
    return nodes, signs, wanted, weights


def _places(site: Site) -> Matrix:
    """Return where each node's answer stands: they are given mode by mode."""
    order = np.argsort(_tensor(site, "nodes_modes"), kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def _answers(site: Site) -> str:
    """Return what every node's question is answered, 0 or 1."""
    modes = _tensor(site, "nodes_modes")
    features = np.asarray(site.attribute("nodes_featureids"))
    splits = _tensor(site, "nodes_splits")
    answers = []
    for mode in sorted(set(modes.tolist()) - {_IS_MEMBER}):
        nodes = np.flatnonzero(modes == mode)
        asked = site.emit("Gather", site.node.input[0], features[nodes], axis=1)
        operator = "Equal" if mode == _DIFFERS else _COMPARISONS[mode]
        answer = site.emit(operator, asked, splits[nodes])
        answers.append(site.emit("Not", answer) if mode == _DIFFERS else answer)
    for node, members in zip(np.flatnonzero(modes == _IS_MEMBER), _members(site), strict=False):
        asked = site.emit("Gather", site.node.input[0], features[[node]], axis=1)
        same = site.cast(site.emit("Equal", asked, members), site.dtype(0))
        answers.append(site.cast(site.reduce("Max", same, [1]), np.bool_))
    return site.cast(site.emit("Concat", *answers, axis=1), site.dtype(0))


def _members(site: Site) -> Iterator[Matrix]:
    """Yield the sets that nodes ask for, which end with a NaN each."""
    values = _tensor(site, "membership_values")
    for members in np.split(values, np.flatnonzero(np.isnan(values))):
        yield members[~np.isnan(members)]


def _tensor(site: Site, name: str) -> Matrix:
    return np.asarray(numpy_helper.to_array(site.attribute(name)))


TABLE: Mapping[str, Rewrite] = {"TreeEnsemble": tree_ensemble}
