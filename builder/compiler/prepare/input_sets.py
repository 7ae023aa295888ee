"""Further inputs to verify with: they reach what random numbers around zero do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.check_data import Arrays
from builder.compiler.prepare.seeding import seeded_inputs
from builder.compiler.set_list import spare_name
from builder.model.tensor import TensorSpec

Array = npt.NDArray[Any]

LARGE = 100.0
_EQUAL = 0.5
_MORE_SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSet:
    """Inputs by the names of the model, and what they are called together."""

    name: str
    inputs: Arrays


def further_sets(
    seeded: Arrays,
    specs: Sequence[TensorSpec],
    ranges: Mapping[str, range],
    seed: int,
    *,
    jumps: bool,
) -> Iterator[InputSet]:
    """Yield sets made of the ``seeded`` one, the most telling first; none that is there already.

    Integers and bits keep to values that the seeded ones have: what those index or divide, these
    do. ``jumps``: the model's results may jump, so that other seeds may be wanted.
    """
    there = {_bytes(seeded)}
    for name, of in _KINDS.items():
        inputs = {key: of(array) for key, array in seeded.items()}
        if _bytes(inputs) not in there:
            there.add(_bytes(inputs))
            yield InputSet(name=name, inputs=inputs)
    for other in range(seed + 1, seed + 1 + _MORE_SEEDS) if jumps else ():
        drawn = seeded_inputs(specs, ranges, other)
        inputs = {key: array if _counts(array) else drawn[key] for key, array in seeded.items()}
        if _bytes(inputs) not in there:
            yield InputSet(name=spare_name(other), inputs=inputs)


def _bytes(inputs: Arrays) -> bytes:
    return b"".join(array.tobytes() for array in inputs.values())


def _large(array: Array) -> Array:
    return _same(array, np.max) if _counts(array) else np.asarray(array * array.dtype.type(LARGE))


def _zeros(array: Array) -> Array:
    return _same(array, np.min) if _counts(array) else np.zeros_like(array)


def _negative(array: Array) -> Array:
    if _counts(array):
        return array[..., ::-1].copy() if array.ndim else array
    return np.asarray(-np.abs(array), array.dtype)


def _equal(array: Array) -> Array:
    return _same(array, np.max) if _counts(array) else np.full_like(array, _EQUAL)


_KINDS: Mapping[str, Callable[[Array], Array]] = {
    "large": _large,
    "zeros": _zeros,
    "negative": _negative,
    "equal": _equal,
}


def _counts(array: Array) -> bool:
    return array.dtype.kind in "biu"


def _same(array: Array, chosen: Callable[[Array], Any]) -> Array:
    return np.full_like(array, chosen(array)) if array.size else array
