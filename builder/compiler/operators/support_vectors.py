"""SVMClassifier with probabilities: votes, and shares coupled from those of pairs.

The coupling is the second of Wu, Lin and Weng, Probability Estimates for Multi-class Classification
by Pairwise Coupling (2004), in steps that end as LIBSVM's do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler import tensors
from builder.compiler.operators import loops
from builder.compiler.operators.node import Array, Node
from builder.compiler.support_vectors import pair_weights

_MOST_STEPS = 100
_NEAREST = 1e-7
"""A share of a pair is no nearer to 0 or 1."""

_DTYPE = "float32"


def svm_classifier(node: Node) -> relax.Expr:
    """Convert SVMClassifier of labels that count, without a transformation of its scores."""
    counts = [int(count) for count in node.attribute("vectors_per_class")]
    pairs = len(counts) * (len(counts) - 1) // 2
    weights = _floats(node, "coefficients").reshape(len(counts) - 1, sum(counts))
    near = _nearness(node, sum(counts))
    product = relax.op.matmul(near, tensors.constant(pair_weights(weights, counts).T.copy()))
    scores = relax.op.add(product, tensors.constant(_floats(node, "rho")[:pairs]))
    slopes = [tensors.constant(_floats(node, f"prob_{name}")[:pairs]) for name in "ab"]
    coupling = _Coupling(rows=node.shape(0)[0], classes=len(counts))
    found = node.builder.emit(
        node.call(coupling.compute, node.builder.emit(scores), *slopes, name="svm_classifier")
    )
    return relax.Tuple([relax.TupleGetItem(found, position) for position in (0, 1)])


def _floats(node: Node, name: str) -> Array:
    return np.asarray(node.attribute(name), np.float32)


def _nearness(node: Node, count: int) -> relax.Expr:
    """Return the kernel of each row with each support vector, [rows, vectors]."""
    data = node.required(0)
    vectors = _floats(node, "support_vectors").reshape(count, -1)
    gamma, start, degree = [*node.attribute("kernel_params", ()), 0.0, 0.0, 0.0][:3]
    kind = node.attribute("kernel_type", "LINEAR")

    def number(value: float) -> relax.Expr:
        return relax.const(value, _DTYPE)

    if kind == "RBF":
        apart = relax.op.subtract(relax.op.expand_dims(data, 1), tensors.constant(vectors))
        distance = relax.op.sum(relax.op.multiply(apart, apart), axis=2)
        return relax.op.exp(relax.op.multiply(distance, number(-gamma)))
    product = relax.op.matmul(data, tensors.constant(vectors.T.copy()))
    if kind == "LINEAR":
        return product
    moved = relax.op.add(relax.op.multiply(product, number(gamma)), number(start))
    return relax.op.tanh(moved) if kind == "SIGMOID" else relax.op.power(moved, number(degree))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coupling:
    """Labels [rows] and shares [rows, classes] from the scores of pairs [rows, pairs]."""

    rows: int
    classes: int

    def compute(self, scores: te.Tensor, slopes: te.Tensor, shifts: te.Tensor) -> Any:
        n = self.classes
        results = [([self.rows], "int64"), ([self.rows, n], _DTYPE)]
        scratch = [([n, n], _DTYPE), ([n, n], _DTYPE), ([n], _DTYPE), ([n], "int32"), ([4], _DTYPE)]
        return loops.kernel(
            self._body, [scores, slopes, shifts], [*results, *scratch], name="svm_classifier"
        )

    def _body(
        self, scores: Any, slopes: Any, shifts: Any, label: Any, share: Any, *scratch: Any
    ) -> None:
        shares, products, sums, votes, few = scratch
        with T.serial(0, self.rows) as row:
            with T.serial(0, self.classes) as i:
                votes[i] = T.int32(0)
            with T.serial(0, self.classes) as i, T.serial(i + 1, self.classes) as j:
                pair = i * self.classes - i * (i + 1) // 2 + j - i - 1
                score = scores[row, pair]
                won = T.Cast("int32", score > _number(0))
                votes[i] = votes[i] + won
                votes[j] = votes[j] + (1 - won)
                shares[i, j] = _chance(score * slopes[pair] + shifts[pair])
                shares[j, i] = _number(1) - shares[i, j]
            self._elect(votes, label, row)
            self._start(shares, products, share, row)
            self._couple(products, sums, share, row, few)

    def _elect(self, votes: Any, label: Any, row: Any) -> None:
        """Note the first of the classes with the most votes."""
        label[row] = T.int64(0)
        with T.serial(0, self.classes) as i:
            most = votes[T.Cast("int32", label[row])]
            with T.If(votes[i] > most), T.Then():
                label[row] = T.Cast("int64", i)

    def _start(self, shares: Any, products: Any, share: Any, row: Any) -> None:
        """Give every class as much, and work out what the pairs make of shares."""
        n = self.classes
        with T.serial(0, n) as i:
            share[row, i] = _number(1 / n)
            products[i, i] = _number(0)
            with T.serial(0, n) as j, T.If(j != i), T.Then():
                products[i, i] = products[i, i] + shares[j, i] * shares[j, i]
                products[i, j] = _number(0) - shares[j, i] * shares[i, j]

    def _couple(self, products: Any, sums: Any, share: Any, row: Any, few: Any) -> None:
        """Go towards the shares that fit the pairs best, class by class, until they hardly move."""
        n = self.classes
        few[_GOING] = _number(1)
        with T.serial(0, _MOST_STEPS), T.If(few[_GOING] > _number(0)), T.Then():
            few[_TOTAL] = _number(0)
            with T.serial(0, n) as i:
                sums[i] = _number(0)
                with T.serial(0, n) as j:
                    sums[i] = sums[i] + products[i, j] * share[row, j]
                few[_TOTAL] = few[_TOTAL] + share[row, i] * sums[i]
            few[_WORST] = _number(0)
            with T.serial(0, n) as i:
                error = tirx.abs(sums[i] - few[_TOTAL])
                few[_WORST] = tirx.Select(error > few[_WORST], error, few[_WORST])
            with T.If(few[_WORST] < _number(0.005 / n)):
                with T.Then():
                    few[_GOING] = _number(0)
                with T.Else():
                    self._step(products, sums, share, row, few)

    def _step(self, products: Any, sums: Any, share: Any, row: Any, few: Any) -> None:
        n = self.classes
        with T.serial(0, n) as i:
            few[_MOVE] = (few[_TOTAL] - sums[i]) / products[i, i]
            share[row, i] = share[row, i] + few[_MOVE]
            grown = few[_MOVE] * (few[_MOVE] * products[i, i] + _number(2) * sums[i])
            more = _number(1) + few[_MOVE]
            few[_TOTAL] = (few[_TOTAL] + grown) / more / more
            with T.serial(0, n) as j:
                sums[j] = (sums[j] + few[_MOVE] * products[i, j]) / more
                share[row, j] = share[row, j] / more


_GOING, _TOTAL, _WORST, _MOVE = range(4)
"""Single numbers, in one buffer."""


def _chance(value: Any) -> Any:
    """Return 1 less the logistic of ``value``, away from 0 and 1."""
    chance = _number(1) / (_number(1) + tirx.exp(value))
    return tirx.max(tirx.min(chance, _number(1 - _NEAREST)), _number(_NEAREST))


def _number(value: float) -> Any:
    return tirx.const(value, _DTYPE)
