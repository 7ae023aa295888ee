"""Outputs against the expected ones: the rule of the runner's ``--check``, in numpy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from builder.compiler.distance import differences
from builder.errors import IntegrityError
from builder.model.artifact import OutputError
from builder.model.tensor import Signature, TensorSpec

Array = npt.NDArray[Any]


def compare_outputs(signature: Signature, computed: Path, wanted: Path) -> tuple[OutputError, ...]:
    """Compare the outputs in the folder ``computed`` with a set of check data."""
    limits = read_tolerances(wanted / "tolerance.txt")
    return tuple(
        compare(
            spec,
            _load(computed / f"{spec.file}.npy", spec),
            _load(wanted / "expected" / f"{spec.file}.npy", spec),
            *limits[spec.file],
        )
        for spec in signature.outputs
    )


def count_wrong(signature: Signature, computed: Path, wanted: Path) -> dict[str, tuple[int, int]]:
    """Return, by file stem, how many elements of an output are wrong, and how many it has."""
    limits, counts = read_tolerances(wanted / "tolerance.txt"), {}
    for spec in signature.outputs:
        ours = _load(computed / f"{spec.file}.npy", spec)
        theirs = _load(wanted / "expected" / f"{spec.file}.npy", spec)
        size = np.abs(theirs.astype(np.float64))
        wrong = _wrong(differences(ours, theirs), size, *limits[spec.file][:2])
        counts[spec.file] = (int(wrong.sum()), wrong.size)
    return counts


def read_tolerances(path: Path) -> dict[str, tuple[float, float, int]]:
    """Return absolute and relative tolerance, and how many elements may differ, by output file.

    Raises ``IntegrityError`` ``bad-tolerance`` for one that is infinite, negative or NaN.
    """
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    found = {
        stem: (float(absolute), float(relative), int(may_differ[0]) if may_differ else 0)
        for stem, absolute, relative, *may_differ in rows
    }
    for stem, limits in found.items():
        # Within an infinite tolerance everything is right, and NaN is never exceeded.
        if not all(math.isfinite(limit) and limit >= 0 for limit in limits):
            raise IntegrityError(
                f"the tolerance of {stem} proves nothing: {limits[0]:g} and {limits[1]:g}",
                reason="bad-tolerance",
                where=str(path),
            )
    return found


def _load(path: Path, spec: TensorSpec) -> Array:
    array: Array = np.load(path, allow_pickle=False)
    return array.view(ml_dtypes.bfloat16) if spec.dtype == "bfloat16" else array


def compare(
    spec: TensorSpec,
    computed: Array,
    expected: Array,
    absolute: float,
    relative: float,
    may_differ: int = 0,
) -> OutputError:
    """Return how far ``computed`` is from ``expected`` (one shape, one type).

    It is right where at most ``may_differ`` elements are farther than they may be. NaN equals NaN
    and an infinity itself; any other meeting with them is an infinite error.
    """
    difference = differences(computed, expected)
    size = np.abs(expected.astype(np.float64))
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.where(difference == 0, 0.0, difference / np.maximum(size, _TINY))
    wrong = _wrong(difference, size, absolute, relative)
    return OutputError(
        name=spec.name,
        max_abs_error=float(difference.max(initial=0.0)),
        max_rel_error=float(scaled.max(initial=0.0)),
        ok=bool(wrong.sum() <= may_differ),
    )


_TINY = np.finfo(np.float64).tiny


def _wrong(difference: Array, size: Array, absolute: float, relative: float) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        # Where an infinity is expected, any tolerance in proportion to it is infinite as well.
        near = np.isfinite(difference) & (difference <= absolute + relative * size)
    return np.asarray(~((difference == 0) | near))
