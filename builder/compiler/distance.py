"""How far tensors are apart, element by element; integers are never rounded on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def differences(computed: Array, expected: Array) -> npt.NDArray[np.float64]:
    """Return the absolute differences; NaN equals NaN, and is infinitely far from all else.

    Of integers they are 0 only where both are equal, also beyond 2^53.
    """
    left, right = computed.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        same = (computed == expected) | (np.isnan(left) & np.isnan(right))
        distance = _integers(computed, expected) if _exact(computed, expected) else left - right
        difference = np.where(same, 0.0, np.abs(distance))
    return np.where(np.isnan(difference), np.inf, difference)


def _exact(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.dtype.kind in "iu"


def _integers(one: Array, other: Array) -> Array:
    # What is left of a difference in as many bits without a sign is the distance itself.
    bits = np.dtype(f"u{one.dtype.itemsize}")
    left, right = one.astype(bits), other.astype(bits)
    distance: Array = np.where(one > other, left - right, right - left)
    return distance
