"""How far an output may be from ONNX Runtime's: a rule by element type, stated in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """A value v is right where ``|v - e| <= absolute + relative * |e|``; two zeros mean equal."""

    absolute: float
    relative: float


_RELATIVE = {"float64": 1e-9, "float32": 1e-3, "float16": 1e-2, "bfloat16": 4e-2}
_ABSOLUTE_OF_SCALE = {"float64": 1e-10, "float32": 2e-5, "float16": 4e-3, "bfloat16": 2e-2}


def tolerance(expected: npt.NDArray[Any]) -> Tolerance:
    """Return the tolerance of one output.

    Sums are reordered, so errors are proportional to the size of the terms, not of the sum: small
    values next to large ones get slack in proportion to the output's largest finite value, at least
    1. Integers and booleans must be equal.
    """
    name = expected.dtype.name
    if name not in _RELATIVE:
        return Tolerance(absolute=0.0, relative=0.0)
    finite = np.abs(expected.astype(np.float64))
    finite = finite[np.isfinite(finite)]
    scale = max(1.0, float(finite.max(initial=0.0)))
    return Tolerance(absolute=_ABSOLUTE_OF_SCALE[name] * scale, relative=_RELATIVE[name])
