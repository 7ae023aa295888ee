"""What a comparison with the reference does not prove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.prepare.tolerance import doubt, tolerance
from builder.model.artifact import Caution
from builder.model.tensor import TensorSpec

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


Declared = Mapping[str, tuple[int, ...]]
"""Shapes by output; an extent that is left open is 0."""


def declared_shapes(graph: onnx.GraphProto) -> Declared:
    """Return the shapes that a model declares its outputs with."""
    return {
        output.name: tuple(max(dim.dim_value, 0) for dim in output.type.tensor_type.shape.dim)
        for output in graph.output
        if output.type.tensor_type.HasField("shape")
    }


def misdeclared(declared: Declared, outputs: Sequence[TensorSpec]) -> Iterator[Caution]:
    """Yield which outputs have another shape than the model says, which ONNX Runtime lets pass."""
    for spec in outputs:
        shape = declared.get(spec.name, spec.shape)
        pairs = zip(shape, spec.shape, strict=False)
        if len(shape) == len(spec.shape) and all(not said or said == is_ for said, is_ in pairs):
            continue
        said = ", ".join(str(extent) if extent else "?" for extent in shape)
        yield Caution(
            reason="declared-shape",
            output=spec.name,
            why=f"the model declares [{said}], and computes {list(spec.shape)}",
        )
