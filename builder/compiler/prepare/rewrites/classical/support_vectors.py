"""SVMClassifier and SVMRegressor: products with the support vectors, and votes of pairs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto

from builder.compiler.prepare.rewrites.classical import scores
from builder.compiler.prepare.rewriting import Array, Rewrite, Site
from builder.compiler.support_vectors import pair_weights

F = np.float32


def svm_regressor(site: Site) -> bool:
    """SVMRegressor; for one class, its answer is 1 inside and -1 outside."""
    weights = np.asarray(site.attribute("coefficients"), F).reshape(1, -1)
    vectors = _vectors(site, site.attribute("n_supports", 0))
    data, bias = scores.rows(site), np.asarray(site.attribute("rho")[:1], F)
    near = data if vectors is None else _nearness(site, data, vectors)
    found = scores.product(site, near, weights, bias)
    if site.attribute("one_class", 0):
        inside = site.emit("Greater", found, F(0))
        found = site.emit("Where", inside, F(1), F(-1))
    scores.give(site, 0, found)
    return True


def svm_classifier(site: Site) -> bool:
    """SVMClassifier; where it has probabilities, a node of its own for them is kept."""
    texts = site.texts("classlabels_strings")
    integers = site.attribute("classlabels_ints", ())
    counts = site.attribute("vectors_per_class", ())
    classes = len(texts or integers)
    lone = classes <= 2 and sum(counts) and not site.attribute("prob_a")
    if lone and site.attribute("post_transform") == "PROBIT":
        return False  # ONNX Runtime leaves the second score to chance
    if not sum(counts):
        which, found = _one_score_each(site, classes)
    elif site.attribute("prob_a"):
        counting = not texts and list(integers) == list(range(classes))
        plain = counting and site.attribute("post_transform", "NONE") == "NONE"
        if site.shape(0) is None or (plain and scores.is_ready(site)):
            return False
        which, found = _probable(site, classes)
    else:
        which, found = _votes(site, counts)
    scores.give_label(site, which, integers, texts)
    scores.give(site, 1, found)
    return True


def _one_score_each(site: Site, classes: int) -> tuple[str, str]:
    """Return the winners and scores of a linear classifier."""
    weights = np.asarray(site.attribute("coefficients"), F)
    bias = np.asarray(site.attribute("rho")[:1], F)
    found = scores.product(site, scores.rows(site), weights.reshape(classes, -1), bias)
    which = scores.first_largest(site, found)
    if classes == 2 and not site.attribute("prob_a"):
        highest = site.reduce("Max", found, [1])
        positive = bool((weights >= 0).all())
        enough = site.emit("GreaterOrEqual" if positive else "Greater", highest, F(positive / 2))
        second = site.reshape(enough, [-1])
        which = site.emit("Where", second, np.int64(1), which)
    how = site.attribute("post_transform", "NONE")
    if classes == 1 and how != "PROBIT":
        return which, found
    return which, scores.transformed(site, found, how)


def _votes(site: Site, counts: Sequence[int]) -> tuple[str, str]:
    """Return the winners of most pairs, and the pairs' scores; a lone pair's stands twice."""
    vectors = _vectors(site, sum(counts))
    assert vectors is not None
    weights, classes = _coefficients(site, counts), len(counts)
    near = _nearness(site, scores.rows(site), vectors)
    pairs = list(itertools.combinations(range(classes), 2))
    bias = np.asarray(site.attribute("rho")[: len(pairs)], F)
    found = scores.product(site, near, pair_weights(weights, counts), bias)
    firsts = np.zeros((len(pairs), classes), F)
    for number, (one, other) in enumerate(pairs):
        firsts[number, one], firsts[number, other] = 1, -1
    won = site.cast(site.emit("Greater", found, F(0)), F)
    # Who wins a pair has a vote more than who loses it: all that counts is the difference.
    tally = site.emit("Add", site.emit("MatMul", won, firsts), (firsts == -1).sum(0).astype(F))
    which = scores.first_largest(site, tally)
    how = site.attribute("post_transform", "NONE")
    if len(pairs) > 1:
        return which, scores.transformed(site, found, how)
    if how == "NONE":
        return which, scores.opposite(site, found, how)
    return which, scores.complement(site, found, how)


def _probable(site: Site, classes: int) -> tuple[str, str]:
    """Return winners and probabilities, from the node itself without its texts."""
    count = scores.count_of_rows(site)
    which, found = site.keep(
        [scores.rows(site)],
        {"winner": (TensorProto.INT64, [count]), "shares": (TensorProto.FLOAT, [count, classes])},
        without=("classlabels_strings", "classlabels_ints", "post_transform"),
        classlabels_ints=list(range(classes)),
    )
    return which, scores.transformed(site, found, site.attribute("post_transform", "NONE"))


def _coefficients(site: Site, counts: Sequence[int]) -> Array:
    """Return [classes - 1, vectors]."""
    return np.asarray(site.attribute("coefficients"), F).reshape(len(counts) - 1, sum(counts))


def _vectors(site: Site, count: int) -> Array | None:
    """Return the support vectors [vectors, features], None where the model is linear."""
    return np.asarray(site.attribute("support_vectors"), F).reshape(count, -1) if count else None


def _nearness(site: Site, data: str, vectors: Array) -> str:
    """Return the kernel of each row with each support vector, [rows, vectors]."""
    gamma, start, degree = [*site.attribute("kernel_params", ()), 0.0, 0.0, 0.0][:3]
    kind = site.attribute("kernel_type", "LINEAR")
    if kind == "RBF":
        apart = site.emit("Sub", site.emit("Unsqueeze", data, np.asarray([1])), vectors)
        squares = site.reduce("Sum", site.emit("Mul", apart, apart), [2])
        distance = site.emit("Squeeze", squares, np.asarray([2]))
        return site.emit("Exp", site.emit("Mul", distance, F(-gamma)))
    scale = 1.0 if kind == "LINEAR" else gamma
    bias = np.asarray([0.0 if kind == "LINEAR" else start], F)
    found = scores.product(site, data, vectors * F(scale), bias)
    match kind:
        case "POLY":
            return site.emit("Pow", found, F(degree))
        case "SIGMOID":
            return site.emit("Tanh", found)
    return found


TABLE: Mapping[str, Rewrite] = {
    "SVMClassifier": svm_classifier,
    "SVMRegressor": svm_regressor,
}
