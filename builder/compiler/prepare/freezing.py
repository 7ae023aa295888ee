"""Frozen inputs: values that a user gave, in the type and shape that the model wants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.prepare.check_data import read_npz
from builder.compiler.prepare.skeleton import Skeleton
from builder.errors import UsageError
from builder.model.binding import Binding

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Values by input name, as given: any numeric type; a single number fills any shape."""

    values: Arrays

    @property
    def names(self) -> Iterable[str]:
        return self.values.keys()

    @property
    def shapes(self) -> dict[str, Sequence[int]]:
        """The shapes that the values give their inputs."""
        return {name: value.shape for name, value in self.values.items() if value.ndim}

    def into(self, skeleton: Skeleton, inputs: Iterable[onnx.ValueInfoProto]) -> Arrays:
        """Turn the named ``inputs`` (static ones) into initialisers; return their final values."""
        frozen = {
            value.name: _fitted(self.values[value.name], value)
            for value in inputs
            if value.name in self.values
        }
        skeleton.drop(frozen)
        for name, array in frozen.items():
            skeleton.add(name, array)
        return frozen


def read_frozen(binding: Binding, file: Path | None) -> Frozen:
    """Return the values of ``binding`` over those of the .npz ``file``."""
    values = read_npz(file) if file else {}
    literals = {name: np.asarray(json.loads(text)) for name, text in binding.frozen}
    return Frozen(values=values | literals)


def _fitted(value: npt.NDArray[Any], wanted: onnx.ValueInfoProto) -> npt.NDArray[Any]:
    """Return ``value`` in the input's own type and shape. Raises ``UsageError``."""
    tensor = wanted.type.tensor_type
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    if value.shape not in ((), shape):
        raise _misfit(wanted, f"the value is {list(value.shape)}, the input {list(shape)}")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if value.dtype.kind not in "biuf":
        raise _misfit(wanted, f"the value is no {dtype.name}")
    with np.errstate(all="ignore"):
        cast = value.astype(dtype)
    if not _same(value, cast):
        raise _misfit(wanted, f"the value is no {dtype.name}")
    return np.array(np.broadcast_to(cast, shape))


def _same(value: npt.NDArray[Any], cast: npt.NDArray[Any]) -> bool:
    """Say whether only the rounding of fractions was lost."""
    if cast.dtype.kind in "biu":
        return bool((cast == value).all())
    return bool((np.isfinite(cast.astype(np.float64)) == np.isfinite(value)).all())


def _misfit(wanted: onnx.ValueInfoProto, why: str) -> UsageError:
    return UsageError(
        f"input {wanted.name!r} cannot be frozen to that",
        reason="freeze-mismatch",
        why=why,
        remedy="give a value of the input's own type and shape with --freeze",
    )
