"""What a comparison with the reference does not prove."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.tolerance import doubt, tolerance
from builder.model.artifact import Caution

MOST_NOT_FINITE = 0.05
"""Of an output: a mask has some infinities, a model fed what it is not made for has many."""


def cautions(
    name: str, expected: npt.NDArray[Any], again: Sequence[npt.NDArray[Any]]
) -> Iterator[Caution]:
    """Yield why it says little that an output is as ``expected``.

    ``again`` is what other ways to compute it give.
    """
    odd = 1 - float(np.isfinite(expected.astype(np.float64)).mean()) if expected.size else 0.0
    if odd > MOST_NOT_FINITE:
        yield Caution(
            reason="not-finite",
            output=name,
            why=f"{odd:.0%} of it is no finite number in ONNX Runtime either, which proves little;"
            " check with real inputs: --inputs FILE.npz",
        )
    found, allowed = doubt(expected, again), tolerance(expected, again).absolute
    if found > allowed:
        yield Caution(
            reason="reference-unstable",
            output=name,
            why=f"ONNX Runtime differs by {found / 2:.3g} without its optimisations, or for inputs"
            f" all but the same; {allowed:.3g} is tolerated",
        )
