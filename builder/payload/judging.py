"""Whether a tensor is what it should be, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.distance import differences
from builder.compiler.prepare.tolerance import Tolerance, tolerance

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How far a tensor is off: its largest error, and what is allowed where it errs worst."""

    largest: float
    allowed: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a tensor should be; ``again`` is what another order of computing makes of it."""

    value: Array
    again: Array | None = None

    def judge(self, computed: Array) -> Judged:
        """Judge by verification's tolerances, a step of 8 bits being neither right nor wrong."""
        limit = tolerance(self.value, () if self.again is None else (self.again,))
        allowed = limits(self.value, limit, at_least=self._step())
        far = differences(computed, self.value)
        if not far.size:
            return Judged(largest=0.0, allowed=limit.absolute, ok=True)
        worst = np.unravel_index(np.argmax(far - allowed), far.shape)
        return Judged(
            largest=float(far.max()),
            allowed=float(allowed[worst]),
            ok=bool(far[worst] <= allowed[worst]),
        )

    def wrong(self, computed: Array) -> npt.NDArray[np.bool_]:
        """Return which elements are neither ``value`` nor ``again``, but for rounding."""
        found = off(computed, self.value)
        return found if self.again is None else found & off(computed, self.again)

    def _step(self) -> float:
        """Return how far a right kernel may be: what lies between two steps rounds either way."""
        rounded = self.again is not None and self.value.dtype in (np.int8, np.uint8)
        return 1.0 if rounded else 0.0


def off(computed: Array, expected: Array) -> npt.NDArray[np.bool_]:
    """Return which elements differ by more than rounding."""
    return differences(computed, expected) > limits(expected, tolerance(expected))


def limits(expected: Array, limit: Tolerance, *, at_least: float = 0.0) -> npt.NDArray[np.float64]:
    """Return how far each element may be from ``expected``."""
    size = np.abs(np.nan_to_num(expected.astype(np.float64), posinf=0.0, neginf=0.0))
    return np.asarray(max(limit.absolute, at_least) + limit.relative * size)
