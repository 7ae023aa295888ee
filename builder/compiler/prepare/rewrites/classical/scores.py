"""What classifiers and regressors share: rows, scores after their transformation, labels.

ONNX is vague about two classes and one score; the conventions here are ONNX Runtime's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from builder.compiler.prepare.rewriting import Array, Operand, Site

F = np.float32
NEAR_ZERO = F(1e-7)
"""What SOFTMAX_ZERO takes for nothing."""


def rows(site: Site) -> str:
    """Return the input as float32 [rows, features]; without rows it is one."""
    data = site.node.input[0]
    if site.dtype(0) != np.float32:
        data = site.cast(data, np.float32)
    return site.reshape(data, [1, -1]) if site.rank(0) == 1 else data


def is_ready(site: Site) -> bool:
    """Say whether a kernel can take the node's input, and all its shapes are known."""
    return site.dtype(0).kind == "f" and site.rank(0) == 2 and site.is_static()


def count_of_rows(site: Site) -> int:
    """Return how many rows a static input has."""
    extents = site.shape(0) or ()
    return extents[0] if len(extents) > 1 else 1


def product(site: Site, data: str, weights: Array, bias: Array) -> str:
    """Return ``data`` times the rows of ``weights``, and ``bias`` (one, or one for each)."""
    whole = site.emit("MatMul", data, np.ascontiguousarray(weights.T, F))
    return site.emit("Add", whole, np.asarray(bias, F)) if np.any(bias) else whole


def column(site: Site, scores: str, number: int) -> str:
    """Return one column, [rows, 1]."""
    return site.emit("Gather", scores, np.asarray([number]), axis=1)


def negative(site: Site, data: str) -> str:
    """Return what is added up with ``data`` to 0."""
    return site.emit("Sub", F(0), data)


def transformed(site: Site, scores: str, how: str) -> str:
    """Return scores of two classes or more after a ``post_transform``."""
    match how:
        case "LOGISTIC":
            return site.emit("Sigmoid", scores)
        case "SOFTMAX":
            return site.emit("Softmax", scores, axis=-1)
        case "SOFTMAX_ZERO":
            return _softmax_but_zeros(site, scores)
        case "PROBIT":
            return probit(site, scores)
    return scores


def _softmax_but_zeros(site: Site, scores: str) -> str:
    """Return the softmax of scores but for those that are 0, which stay so."""
    highest = site.reduce("Max", scores, [1])
    powers = site.emit("Exp", site.emit("Sub", scores, highest))
    counted = site.emit("Greater", site.emit("Abs", scores), NEAR_ZERO)
    total = site.reduce("Sum", site.emit("Where", counted, powers, F(0)), [1])
    others = site.emit("Mul", scores, site.emit("Exp", negative(site, highest)))
    return site.emit("Div", site.emit("Where", counted, powers, others), total)


def probit(site: Site, scores: str) -> str:
    """Return the root of 2 times an approximation of the inverse error function of 2 p - 1.

    The approximation is S. Winitzki's, with a = 0.147.
    """
    x = site.emit("Sub", site.emit("Mul", scores, F(2)), F(1))
    log = site.emit("Log", site.emit("Mul", site.emit("Sub", F(1), x), site.emit("Add", x, F(1))))
    middle = site.emit("Add", site.emit("Mul", log, F(0.5)), F(2) / (F(3.14159) * F(0.147)))
    under = site.emit(
        "Sub", site.emit("Mul", middle, middle), site.emit("Mul", log, F(1) / F(0.147))
    )
    size = site.emit("Sqrt", site.emit("Sub", site.emit("Sqrt", under), middle))
    root = site.emit("Mul", size, F(1.41421356))
    return site.emit("Where", site.emit("Less", x, F(0)), negative(site, root), root)


def beside(site: Site, first: str, second: str) -> str:
    """Return two columns as one tensor."""
    return site.emit("Concat", first, second, axis=1)


def complement(site: Site, score: str, how: str) -> str:
    """Return the scores of two classes of which ``score`` is the second's share of 1."""
    if how == "LOGISTIC":
        return opposite(site, score, how)
    return beside(site, site.emit("Sub", F(1), score), score)


def opposite(site: Site, score: str, how: str) -> str:
    """Return the scores of two classes of which ``score`` tells the second's sign."""
    both = beside(site, negative(site, score), score)
    return site.emit("Sigmoid", both) if how == "LOGISTIC" else both


def give(site: Site, position: int, value: str) -> None:
    """Make ``value`` an output of the node, where it is wanted."""
    if site.wants(position):
        site.emit("Identity", value, to=site.node.output[position])


def first_largest(site: Site, scores: str) -> str:
    """Return the column of each row's largest score, the first of equals: [rows]."""
    return site.emit("ArgMax", scores, axis=1, keepdims=0)


def is_above(site: Site, column: str, bound: float) -> str:
    """Return 1 where a column [rows, 1] is above ``bound``, else 0, as int64 [rows]."""
    above = site.cast(site.emit("Greater", column, F(bound)), np.int64)
    return site.reshape(above, [-1])


def give_label(site: Site, which: Operand, integers: Sequence[int], texts: Sequence[str]) -> None:
    """Make the label that ``which`` counts off the first output: a number, or a text's."""
    if not site.wants(0):
        return
    if texts:
        site.emit_labels(which, texts, to=site.node.output[0])
    elif list(integers) == list(range(len(integers))):
        site.emit("Identity", which, to=site.node.output[0])
    else:
        site.emit("Gather", np.asarray(integers, np.int64), which, to=site.node.output[0])
