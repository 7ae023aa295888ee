"""Ensembles of decision trees as tables that one kernel walks, whatever their number and depth."""

from __future__ import annotations

from builder.compiler.trees import by_index, by_number
from builder.compiler.trees.attributes import Attributes
from builder.compiler.trees.forest import Forest


def forest(attributes: Attributes) -> Forest:
    """Return the trees of a TreeEnsemble, TreeEnsembleRegressor or TreeEnsembleClassifier.

    Raises ``ModelRefused`` ``malformed-trees``.
    """
    if "tree_roots" in attributes:
        return by_index.read(attributes)
    return by_number.read(attributes)
