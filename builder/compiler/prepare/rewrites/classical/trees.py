"""Ensembles of trees: the walk is kept for a kernel of our own, what is made of scores is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper

from builder.compiler.prepare.rewrites.classical import scores
from builder.compiler.prepare.rewriting import Rewrite, Site
from builder.compiler.trees import forest
from builder.compiler.trees.attributes import Array, malformed, real, whole
from builder.compiler.trees.forest import Forest

F = np.float32
_TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")
"""By TreeEnsemble's numbers as ONNX Runtime takes them; ONNX says that 1 is SOFTMAX, 2 LOGISTIC."""

_OF_DOUBLES = ("NONE", "SOFTMAX")
"""Others ONNX Runtime rounds to 32 bits on the way."""

_RENAMED = {"class_ids": "target_ids", "class_weights": "target_weights"} | {
    f"class_{name}": f"target_{name}" for name in ("nodeids", "treeids", "weights_as_tensor")
}
_LABELS = ("classlabels_strings", "classlabels_int64s")
_BASE = ("base_values", "base_values_as_tensor")
_OTHERS = ("n_targets", "post_transform")


def tree_ensemble_regressor(site: Site) -> bool:
    """TreeEnsembleRegressor: of one score, only PROBIT makes another."""
    return _regressor(site, site.attribute("post_transform", "NONE"))


def tree_ensemble(site: Site) -> bool:
    """TreeEnsemble, which is the same with numbers for names."""
    how = _TRANSFORMS[site.attribute("post_transform", 0)]
    if site.dtype(0) == np.float64 and how not in _OF_DOUBLES:
        return False
    return _regressor(site, how)


def _regressor(site: Site, how: str) -> bool:
    if site.shape(0) is None:
        return False
    trees = _fitting(site)
    partly = trees.base is not None and trees.n_targets > 1 and not all(trees.scored())
    if how == "NONE" and not partly and scores.is_ready(site):
        return False
    found = _partly_scored(site, trees) if partly else _scores(site, trees, ("post_transform",))
    if trees.n_targets > 1 or how == "PROBIT":
        found = scores.transformed(site, found, how)
    scores.give(site, 0, found)
    return True


def _scores(site: Site, trees: Forest, without: Sequence[str]) -> str:
    single = site.node.op_type == "TreeEnsembleRegressor" or site.dtype(0) != np.float64
    shape = [scores.count_of_rows(site), trees.n_targets]
    element = TensorProto.FLOAT if single else TensorProto.DOUBLE
    (found,) = site.keep([_rows(site)], {"scores": (element, shape)}, without=without)
    return found


def _partly_scored(site: Site, trees: Forest) -> str:
    """Return scores that start from a base only where a tree adds to them; others are 0."""
    base = np.asarray(trees.base, F)
    found = site.emit("Add", _scores(site, trees, ("post_transform", *_BASE)), base)
    scored = np.asarray([known is True for known in trees.scored()])[None]
    if None in trees.scored():
        return site.emit("Where", _scored(site, trees), found, F(0))
    return site.emit("Where", scored, found, F(0))


def _rows(site: Site) -> str:
    """Return the input as floats [rows, features]; doubles are compared as such."""
    if site.dtype(0) != np.float64:
        return scores.rows(site)
    data = site.node.input[0]
    return site.reshape(data, [1, -1]) if site.rank(0) == 1 else data


def _fitting(site: Site) -> Forest:
    trees = forest({a.name: helper.get_attribute_value(a) for a in site.node.attribute})
    extents = site.shape(0)
    if extents is None or trees.nodes.width > extents[-1]:
        raise malformed(f"a node asks for feature {trees.nodes.width - 1} of {list(extents or ())}")
    return trees


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classes:
    """Scores [rows, classes] as trees made them, and what a classifier goes by beside them.

    ``scored`` says of each class whether a tree adds to it: always, never, or as ``has`` says.
    """

    site: Site
    found: str
    scored: tuple[bool | None, ...]
    has: str | None
    base: Array
    how: str
    alone: bool
    positive: bool

    def column(self, number: int) -> str:
        return scores.column(self.site, self.found, number)

    def has_column(self, number: int) -> str:
        assert self.has is not None
        return scores.column(self.site, self.has, number)

    def above(self, column: str) -> str:
        """Return which of two classes a score speaks for, [rows, 1]."""
        bound = F(0.5) if self.alone and self.positive else F(0)
        return self.site.cast(self.site.emit("Greater", column, bound), np.int64)

    def plus(self, column: str, base: float) -> str:
        return self.site.emit("Add", column, F(base)) if base else column


def tree_ensemble_classifier(site: Site) -> bool:
    """TreeEnsembleClassifier."""
    if site.shape(0) is None:
        return False
    trees = _fitting(site)
    classes = _classes(site, trees)
    lone = trees.n_targets == 2 and len(classes.base) < 2 and classes.scored[1] is not True
    if lone and classes.how == "PROBIT":
        return False  # ONNX Runtime leaves the second score to chance
    texts, integers = site.texts(_LABELS[0]), list(site.attribute(_LABELS[1], ()))
    if trees.n_targets > 2:
        which, made = _of_many(classes)
    else:
        which, made = _of_two(classes) if trees.n_targets == 2 else _of_one(classes)
        # Without a lone score to go by, ONNX Runtime says 1 and 0, whatever the labels are.
        integers = integers if classes.alone else [0, 1]
        texts = texts and [*texts, texts[0]][:2]
    scores.give_label(site, which, integers, texts)
    scores.give(site, 1, made)
    return True


def _classes(site: Site, trees: Forest) -> _Classes:
    attributes = {a.name: helper.get_attribute_value(a) for a in site.node.attribute}
    scored = trees.scored()
    weights = real(attributes, "class_weights")
    return _Classes(
        site=site,
        found=_walked(site, trees, {}),
        scored=scored,
        has=_scored(site, trees) if None in scored else None,
        base=real(attributes, "base_values"),
        how=site.attribute("post_transform", "NONE"),
        alone=trees.n_targets == 2 and len(set(whole(attributes, "class_ids").tolist())) == 1,
        positive=bool((weights >= 0).all()),
    )


def _walked(site: Site, trees: Forest, changed: Mapping[str, Sequence[float]]) -> str:
    """Return the sums of the trees, [rows, classes]; ``changed`` attributes are others."""
    own = {a.name: a for a in site.node.attribute}
    renamed = {
        new: helper.get_attribute_value(own[old])
        for old, new in _RENAMED.items()
        if old in own and new.removesuffix("_as_tensor") not in changed
    }
    shape = [scores.count_of_rows(site), trees.n_targets]
    (found,) = site.keep(
        [_rows(site)],
        {"scores": (TensorProto.FLOAT, shape)},
        without=(
            *_RENAMED,
            *_LABELS,
            *_BASE,
            *_OTHERS,
            *changed,
            *(f"{n}_as_tensor" for n in changed),
        ),
        operator="TreeEnsembleRegressor",
        n_targets=trees.n_targets,
        **(renamed | dict(changed)),
    )
    return found


def _scored(site: Site, trees: Forest) -> str:
    """Return whether anything was added to a score: the same walk, with leaves that count."""
    attributes = {a.name: helper.get_attribute_value(a) for a in site.node.attribute}
    count = max(len(real(attributes, f"{kind}_weights")) for kind in ("class", "target"))
    return site.emit("Greater", _walked(site, trees, {"target_weights": [1.0] * count}), F(0))


def _of_many(classes: _Classes) -> tuple[str, str]:
    """Return the winner of more than two, among those that have a score, and the scores."""
    site, count = classes.site, len(classes.scored)
    base = np.zeros(count, F)
    base[: len(classes.base)] = classes.base[:count]
    found = site.emit("Add", classes.found, base) if base.any() else classes.found
    based = np.arange(count) < len(classes.base)
    there = based | np.asarray([known is True for known in classes.scored])
    competing = found
    if not there.all():
        mask = np.asarray(there)[None]
        counted = mask if classes.has is None else site.emit("Or", classes.has, mask)
        competing = site.emit("Where", counted, found, F(-np.inf))
    return scores.first_largest(site, competing), scores.transformed(site, found, classes.how)


def _of_one(classes: _Classes) -> tuple[str, str]:
    """Return the label and the score of a lone class."""
    site = classes.site
    score = classes.plus(classes.found, float(classes.base[0]) if len(classes.base) == 1 else 0.0)
    made = scores.probit(site, score) if classes.how == "PROBIT" else score
    return site.reshape(classes.above(score), [-1]), made


def _of_two(classes: _Classes) -> tuple[str, str]:
    """Return the label and the scores of two classes, of which the second may have none."""
    site, second = classes.site, classes.scored[1]
    ways = []
    if second is not False:
        ways.append(_with_second(classes))
    if second is not True:
        ways.append(_without_second(classes))
    if len(ways) == 1:
        which, made = ways[0]
    else:
        has = classes.has_column(1)
        which, made = (site.emit("Where", has, *pair) for pair in zip(*ways, strict=True))
    return site.reshape(which, [-1]), made


def _with_second(classes: _Classes) -> tuple[str, str]:
    site, base = classes.site, classes.base
    first, second = classes.column(0), classes.column(1)
    if len(base) == 2:
        second = classes.plus(first, float(base[1]))
        first = scores.negative(site, second)
    elif len(base) == 1:
        first = classes.plus(first, float(base[0]))
    both = scores.beside(site, _or_nothing(classes, first), second)
    return classes.above(second), scores.transformed(site, both, classes.how)


def _without_second(classes: _Classes) -> tuple[str, str]:
    """What has no score counts as 0, whatever it should have started from."""
    site, base, how = classes.site, classes.base, classes.how
    start = float(base[0]) if len(base) in (1, 2) else 0.0
    first = _or_nothing(classes, classes.plus(classes.column(0), start))
    which = classes.above(first)
    if len(base) >= 2:
        both = scores.beside(site, first, classes.column(1))
        return which, scores.transformed(site, both, how)
    if classes.alone and classes.positive:
        return which, scores.complement(site, first, how)
    return which, scores.opposite(site, first, how)


def _or_nothing(classes: _Classes, score: str) -> str:
    """Return the first score where there is one, else 0."""
    if classes.scored[0] is True:
        return score
    if classes.scored[0] is False:
        return classes.column(0)
    return classes.site.emit("Where", classes.has_column(0), score, F(0))


TABLE: Mapping[str, Rewrite] = {
    "TreeEnsemble": tree_ensemble,
    "TreeEnsembleClassifier": tree_ensemble_classifier,
    "TreeEnsembleRegressor": tree_ensemble_regressor,
}
