"""Whether outputs are ONNX Runtime's, within the tolerance that bundles are verified with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.model.tensor import TensorSpec


def difference(folder: Path, outputs: tuple[TensorSpec, ...]) -> str:
    """Return what is wrong with the first output of a set that is not as wanted, or nothing."""
    limits = json.loads((folder / "asked.json").read_text(encoding="utf-8"))["limits"]
    for number, (spec, limit) in enumerate(zip(outputs, limits, strict=True)):
        want, found = (_read(folder / f"{kind}{number}.bin", spec) for kind in ("want", "out"))
        wrong = ~within(want, found, limit)
        if wrong.any():
            where = int(np.argmax(wrong.ravel()))
            return (
                f"{spec.name}: {int(wrong.sum())} of {wrong.size} {spec.dtype},"
                f" {found.ravel()[where]} for {want.ravel()[where]}"
            )
    return ""


def within(
    want: npt.NDArray[Any], found: npt.NDArray[Any], limit: Mapping[str, float]
) -> npt.NDArray[np.bool_]:
    """Say for each element whether it is right: not-a-number is equal to itself here."""
    if want.dtype.kind in "biu" and limit["absolute"] == 0:
        return np.asarray(want == found)
    wide_want, wide_found = want.astype(np.float64), found.astype(np.float64)
    with np.errstate(all="ignore"):
        near = np.abs(wide_found - wide_want) <= limit["absolute"] + limit["relative"] * np.abs(
            wide_want
        )
    odd = ~np.isfinite(wide_want) | ~np.isfinite(wide_found)
    same = (wide_want == wide_found) | (np.isnan(wide_want) & np.isnan(wide_found))
    return np.asarray(np.where(odd, same, near))


def _read(path: Path, spec: TensorSpec) -> npt.NDArray[Any]:
    # A byte that is neither true nor false must not pass for either.
    dtype = np.uint8 if spec.dtype == "bool" else np.dtype(spec.dtype)
    return np.frombuffer(path.read_bytes(), dtype).reshape(spec.shape)
