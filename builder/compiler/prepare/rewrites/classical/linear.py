"""LinearClassifier and LinearRegressor: one product."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from builder.compiler.prepare.rewrites.classical import scores
from builder.compiler.prepare.rewriting import Array, Rewrite, Site


def linear_classifier(site: Site) -> bool:
    """LinearClassifier; with one score and two labels, the score's sign decides."""
    bias = np.asarray(site.attribute("intercepts", ()), np.float32)
    how = site.attribute("post_transform", "NONE")
    if not len(bias) or (len(bias) == 1 and how == "PROBIT"):
        return False  # ONNX Runtime leaves the second score to chance
    found = scores.product(site, scores.rows(site), _weights(site, len(bias)), bias)
    integers = site.attribute("classlabels_ints", ())
    texts = site.texts("classlabels_strings")
    if len(bias) > 1:
        scores.give_label(site, scores.first_largest(site, found), integers, texts)
        scores.give(site, 1, scores.transformed(site, found, how))
        return True
    pair = integers if len(integers) == 2 else (0, 1)
    named = texts if len(texts) in (0, 2) else ("0", "1")
    scores.give_label(site, scores.is_above(site, found, 0), pair, named)
    if len(texts or integers) == 2:
        found = scores.complement(site, found, how)
    scores.give(site, 1, found)
    return True


def linear_regressor(site: Site) -> bool:
    """LinearRegressor; intercepts count where there is one for each target."""
    targets = site.attribute("targets", 1)
    bias = np.asarray(site.attribute("intercepts", ()), np.float32)
    bias = bias if len(bias) == targets else np.zeros(targets, np.float32)
    found = scores.product(site, scores.rows(site), _weights(site, targets), bias)
    how = site.attribute("post_transform", "NONE")
    if targets > 1 or how == "PROBIT":
        found = scores.transformed(site, found, how)
    scores.give(site, 0, found)
    return True


def _weights(site: Site, targets: int) -> Array:
    return np.asarray(site.attribute("coefficients"), np.float32).reshape(targets, -1)


TABLE: Mapping[str, Rewrite] = {
    "LinearClassifier": linear_classifier,
    "LinearRegressor": linear_regressor,
}
