"""Data that a test did not choose, made from what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ci.conformance.cases import Case

Array = npt.NDArray[Any]
Change = Callable[[Array, np.random.Generator], Array]
"""From a test's value and a source of randomness, another value in the same type and shape."""

_SHARE = 0.25
"""Of the elements become what a float can hold beside numbers."""


def variants(case: Case) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield each kind of data by name with the fed inputs; kinds that change nothing are left out.

    What indexes or measures other inputs stays as the test has it, and so do frozen inputs.
    """
    given = {name: np.asarray(value) for name, value in case.fed.items()}
    for number, (kind, change) in enumerate(KINDS.items()):
        chance = np.random.default_rng(number)
        changed = {
            name: array if name in case.indices else _cast(change(array, chance), array)
            for name, array in given.items()
        }
        if any(changed[name].tobytes() != given[name].tobytes() for name in given):
            yield kind, changed


def hostile_integers(case: Case) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yield fed inputs by kind whose integers, indices among them, are anything at all.

    Nothing where no input is of integers. Floats that become indices count as well in the last.
    """
    given = {name: np.asarray(value) for name, value in case.fed.items()}
    if not any(array.dtype.kind in "iu" for array in given.values()):
        return
    reach = max((extent for array in given.values() for extent in array.shape), default=1)
    for number, (kind, change) in enumerate(_attacks(reach).items()):
        chance = np.random.default_rng(number)
        yield kind, {name: _cast(change(array, chance), array) for name, array in given.items()}


def _attacks(reach: int) -> dict[str, Change]:
    """Return kinds of hostile data for tensors whose largest extent is ``reach``."""
    near = _between(-2 * reach - 2, 2 * reach + 2)
    odd_floats = _with(np.nan, np.inf, -np.inf, 1e30, -1e30)
    return {
        "anything": _between(-(2**63), 2**64 - 1),
        "extremes": _extremes,
        "near-1": near,
        "near-2": near,
        "just-outside": _between(reach, reach + 1),
        "all-odd": lambda array, chance: odd_floats(near(array, chance), chance),
    }


def _between(low: int, high: int) -> Change:
    def change(array: Array, chance: np.random.Generator) -> Array:
        if array.dtype.kind not in "iu":
            return array
        least, greatest = limits(array)
        bounds = max(least, low), max(min(greatest, high), max(least, low))
        return chance.integers(*bounds, array.shape, dtype=array.dtype, endpoint=True)

    return change


def is_float(array: Array) -> bool:
    """Say whether elements are floats, the small ones that numpy did not bring included."""
    return array.dtype.kind == "f" or array.dtype.name.startswith(("bfloat", "float"))


def limits(array: Array) -> tuple[int, int]:
    """Return the least and the greatest value of an integer type."""
    found = np.iinfo(array.dtype)
    return int(found.min), int(found.max)


def _cast(changed: Array, like: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(changed).astype(like.dtype).reshape(like.shape)


def _times_100(array: Array, _chance: np.random.Generator) -> Array:
    if is_float(array):
        return array.astype(np.float64) * 100
    return _clipped(array, array.astype(object) * 100) if array.dtype.kind in "iu" else array


def _negative(array: Array, _chance: np.random.Generator) -> Array:
    if is_float(array):
        return -np.abs(array.astype(np.float64))
    return _clipped(array, -abs(array.astype(object))) if array.dtype.kind == "i" else array


def _zeros(array: Array, _chance: np.random.Generator) -> Array:
    return np.zeros_like(array)


def _halves(array: Array, _chance: np.random.Generator) -> Array:
    """Return what lies between two integers: where rounding has to decide."""
    return np.floor(array.astype(np.float64)) + 0.5 if is_float(array) else array


def _extremes(array: Array, chance: np.random.Generator) -> Array:
    if array.dtype.kind not in "iu":
        return array
    least, greatest = limits(array)
    values = {least, least + 1, greatest - 1, greatest, 0, 1, *({-1} if least < 0 else ())}
    return chance.choice(np.array(sorted(values), array.dtype), array.shape)


def _with(*odd: float) -> Change:
    def change(array: Array, chance: np.random.Generator) -> Array:
        if not is_float(array):
            return array
        hit = chance.random(array.shape) < _SHARE
        hit.flat[:1] = True
        return np.where(hit, chance.choice(odd, array.shape), array.astype(np.float64))

    return change


def _seeded(array: Array, chance: np.random.Generator) -> Array:
    """Return normal floats, and integers of twice the test's range, of the test's magnitude."""
    if array.dtype.kind == "b":
        return chance.random(array.shape) < 0.5
    if is_float(array):
        finite = np.abs(array.astype(np.float64))
        scale = max(1.0, float(finite[np.isfinite(finite)].max(initial=0.0)))
        return chance.normal(0, min(scale, 1e3), array.shape)
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    least, greatest = limits(array)
    return chance.integers(max(least, 2 * low - 1), min(greatest, 2 * high + 1), array.shape,
                           dtype=array.dtype, endpoint=True)  # fmt: skip


def _clipped(array: Array, wanted: Array) -> Array:
    least, greatest = limits(array)
    return np.asarray([min(max(int(v), least), greatest) for v in wanted.ravel()], array.dtype)


KINDS: dict[str, Change] = {
    "times-100": _times_100,
    "negative": _negative,
    "zeros": _zeros,
    "halves": _halves,
    "extremes": _extremes,
    "nan": _with(np.nan),
    "infinities": _with(np.inf, -np.inf),
    "seed-1": _seeded,
    "seed-2": _seeded,
    "seed-3": _seeded,
}
