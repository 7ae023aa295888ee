"""TreeEnsembleRegressor and TreeEnsemble: one loop over tables, whatever the number of trees.

Some trees are walked at once, a step of each in turn, so that one's loads do not wait for
another's; a step has no branch. They stop when none of them moves: a leaf leads to itself. Groups
of trees are the outer loop, so that their tables stay in the cache while the rows pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler import tensors
from builder.compiler.operators import loops
from builder.compiler.operators.node import Array, Node, dtype_of
from builder.compiler.operators.tree_walks import (
    FEATURE,
    LEFT,
    RIGHT,
    THRESHOLD,
    WAY_BITS,
    Added,
    Walk,
)
from builder.compiler.trees import forest
from builder.compiler.trees.attributes import malformed
from builder.compiler.trees.forest import Forest

_AT_ONCE = 8
"""Trees: more would not stay in registers."""

_COLUMNS = 4


def tree_ensemble(node: Node) -> relax.Expr:
    """Convert trees whose scores are left as they are; others are rewritten before."""
    trees = forest(node.attributes)
    data = node.required(0)
    rows, width = node.shape(0)
    if trees.nodes.width > width:
        raise malformed(f"a node asks for feature {trees.nodes.width - 1} of {width}")
    kernel = _Kernel(trees=trees, dtype=dtype_of(data), rows=rows)
    tables = [tensors.constant(table) for table in kernel.tables()]
    scores = node.call(kernel.compute, data, *tables, name="tree_ensemble")
    single = node.operator == "TreeEnsembleRegressor" and kernel.dtype != "float32"
    return relax.op.astype(node.builder.emit(scores), "float32") if single else scores


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """Trees over ``rows`` of features of type ``dtype``, which is the scores' type too."""

    trees: Forest
    dtype: str
    rows: int

    def tables(self) -> list[Array]:
        """Return nodes [n, 4], roots, and what leaves add: weights, and where it is not plain more.

        A node is its feature with its ways, its threshold's bits, and the nodes to its left and
        right; a leaf's threshold is its number.
        """
        nodes = self.trees.nodes
        table = np.zeros((len(nodes.leaf), _COLUMNS), np.int32)
        thresholds = nodes.thresholds.astype(self.dtype)
        table[:, FEATURE] = nodes.features << WAY_BITS | nodes.ways
        if not self._is_double:
            table[:, THRESHOLD] = thresholds.view(np.int32)
        table[~nodes.asking, THRESHOLD] = nodes.leaf[~nodes.asking]
        table[:, LEFT], table[:, RIGHT] = nodes.left, nodes.right
        leaves = self.trees.leaves
        found = [table, self.trees.roots.astype(np.int32), leaves.weights.astype(self.dtype)]
        found += [thresholds] if self._is_double else []
        found += [] if self._is_plain else [leaves.targets.astype(np.int32)]
        return found + ([] if leaves.width is not None else [leaves.starts.astype(np.int32)])

    @property
    def _is_double(self) -> bool:
        return self.dtype == "float64"

    @property
    def _is_plain(self) -> bool:
        """Say whether every leaf adds to every target, in order."""
        count, targets = self.trees.n_targets, self.trees.leaves.targets
        ordered = np.resize(np.arange(count), targets.shape)
        return self.trees.leaves.width == count and bool((targets == ordered).all())

    def compute(self, data: te.Tensor, *tables: te.Tensor) -> Any:
        """Return the scores [rows, targets]."""
        shape = (self.rows, self.trees.n_targets)
        return loops.kernel(
            self._body, [data, *tables], [(shape, self.dtype)], name="tree_ensemble"
        )

    def _body(self, data: Any, nodes: Any, roots: Any, weights: Any, *more: Any) -> None:
        rest = list(more)
        result = rest.pop()
        walk = Walk(
            data=data,
            nodes=nodes,
            threshold=self._threshold(nodes, rest.pop(0) if self._is_double else None),
            asked=self.trees.nodes,
        )
        added = Added(
            leaves=self.trees.leaves,
            weights=weights,
            targets=None if self._is_plain else rest.pop(0),
            starts=rest.pop(0) if rest else None,
        )
        self._fill(result, lambda _: tirx.const(self._start, self.dtype))
        count = len(self.trees.roots)
        whole = count // _AT_ONCE
        with T.serial(0, whole) as group, T.serial(0, self.rows) as row:
            self._some(walk, added, result, row, lambda k: roots[group * _AT_ONCE + k], _AT_ONCE)
        if count % _AT_ONCE:
            with T.serial(0, self.rows) as row:
                first = whole * _AT_ONCE
                self._some(walk, added, result, row, lambda k: roots[first + k], count - first)
        self._finish(result)

    def _some(
        self,
        walk: Walk,
        added: Added,
        result: Any,
        row: Any,
        root: Callable[[int], Any],
        count: int,
    ) -> None:
        """Walk ``count`` trees with one row, and add up what they come to, in their order."""
        at = T.buffer_proxy(T.alloc_buffer((count,), "int32", scope="local"))
        moved = T.buffer_proxy(T.alloc_buffer((1,), "int32", scope="local"))
        for k in range(count):
            at[k] = root(k)
        moved[0] = T.int32(1)
        with T.While(moved[0] != 0):
            moved[0] = T.int32(0)
            for k in range(count):
                after = T.bind(walk.after(row, at[k]))
                moved[0] = T.bitwise_or(moved[0], T.bitwise_xor(after, at[k]))
                at[k] = after
        for k in range(count):
            with added.by_leaf(walk.leaf(at[k])) as (target, weight):
                result[row, target] = self._together(result[row, target], weight)

    def _threshold(self, nodes: Any, doubles: Any) -> Callable[[Any], Any]:
        if doubles is not None:
            return lambda node: doubles[node]
        return lambda node: T.reinterpret("float32", nodes[node, THRESHOLD])

    @property
    def _start(self) -> float:
        return {"MIN": float("inf"), "MAX": float("-inf")}.get(self.trees.aggregate, 0.0)

    def _together(self, score: Any, weight: Any) -> Any:
        match self.trees.aggregate:
            case "MIN":
                return tirx.Select(weight < score, weight, score)
            case "MAX":
                return tirx.Select(weight > score, weight, score)
        return score + weight

    def _fill(self, result: Any, value: Callable[[tuple[Any, ...]], Any]) -> None:
        with T.grid(self.rows, self.trees.n_targets) as at:
            result[tuple(at)] = value(tuple(at))

    def _finish(self, result: Any) -> None:
        """Put scores that nothing was added to at 0, average, add what every score starts from."""
        trees = self.trees
        if self._start:
            untouched = tirx.const(self._start, self.dtype)
            zero = tirx.const(0, self.dtype)
            self._fill(result, lambda at: tirx.Select(result[at] == untouched, zero, result[at]))
        if trees.aggregate == "AVERAGE":
            count = tirx.const(len(trees.roots), self.dtype)
            self._fill(result, lambda at: result[at] / count)
        if trees.base is not None:
            for target, base in enumerate(trees.base.tolist()):
                with T.serial(0, self.rows) as row:
                    result[row, target] = result[row, target] + tirx.const(base, self.dtype)
