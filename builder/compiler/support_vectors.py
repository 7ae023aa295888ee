"""How the coefficients of support vectors make the scores of pairs of classes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def pair_weights(coefficients: Array, counts: Sequence[int]) -> Array:
    """Return what each vector counts in each pair of classes, [pairs, vectors].

    ``coefficients`` [classes - 1, vectors] are LIBSVM's: of a vector of class i, row j - 1 (or j,
    where j < i) is for the pair with class j. ``counts`` are the vectors of each class.
    """
    ends = np.cumsum([0, *counts])
    pairs = list(itertools.combinations(range(len(counts)), 2))
    weights = np.zeros((len(pairs), int(ends[-1])), coefficients.dtype)
    for number, (one, other) in enumerate(pairs):
        first, second = slice(ends[one], ends[one + 1]), slice(ends[other], ends[other + 1])
        weights[number, first] = coefficients[other - 1, first]
        weights[number, second] = coefficients[one, second]
    return weights
