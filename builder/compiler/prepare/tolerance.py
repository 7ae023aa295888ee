"""How far an output may be from ONNX Runtime's: a rule by element type, stated in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.distance import differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """A value v is right where ``|v - e| <= absolute + relative * |e|``; two zeros mean equal."""

    absolute: float
    relative: float


_RELATIVE = {"float64": 1e-9, "float32": 1e-3, "float16": 1e-2, "bfloat16": 4e-2}
_ABSOLUTE_OF_SCALE = {"float64": 1e-10, "float32": 2e-5, "float16": 4e-3, "bfloat16": 2e-2}

_OF_RANGE = 0.05
_STEPS = 4
"""What the reference's own doubt may come to: of an output's range, or in steps of integers."""


def tolerance(expected: npt.NDArray[Any], again: Sequence[npt.NDArray[Any]] = ()) -> Tolerance:
    """Return the tolerance of one output; ``again`` is what other ways to compute it give.

    Sums are reordered, so errors are proportional to the size of the terms, not of the sum: small
    values next to large ones get slack in proportion to the output's largest finite value, at least
    1. Integers and booleans must be equal. Where the reference itself is not sure, its own
    difference counts twice, within bounds: steps of a quantised model that round the other way.
    """
    slack = min(doubt(expected, again), _largest_slack(expected))
    name = expected.dtype.name
    if name not in _RELATIVE:
        return Tolerance(absolute=slack, relative=0.0)
    finite = np.abs(expected.astype(np.float64))
    finite = finite[np.isfinite(finite)]
    scale = max(1.0, float(finite.max(initial=0.0)))
    absolute = max(_ABSOLUTE_OF_SCALE[name] * scale, slack)
    return Tolerance(absolute=absolute, relative=_RELATIVE[name])


def doubt(expected: npt.NDArray[Any], again: Sequence[npt.NDArray[Any]]) -> float:
    """Return twice the largest difference between ways to compute an output."""
    return 2 * max((_largest_difference(expected, other) for other in again), default=0.0)


def _largest_slack(expected: npt.NDArray[Any]) -> float:
    """Return the most that doubt may widen a tolerance: beyond it a check would prove nothing."""
    finite = expected[np.isfinite(expected)].astype(np.float64)
    extent = float(np.ptp(finite)) if finite.size else 0.0
    steps = _STEPS if expected.dtype.kind in "iu" else 0
    return max(_OF_RANGE * extent, steps)


def _largest_difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    distance = differences(one, other)
    return float(distance[np.isfinite(distance)].max(initial=0.0))
