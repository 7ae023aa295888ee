"""Operators that only move elements, as a way to read what they moved.

A kernel that packs its operand anyway can read it from where it was before the move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax, tirx

from builder.compiler.blocking.forms import Forms, is_operator, shape

Index = tuple[Any, ...]
Move = Callable[[Index], Index]
"""From an index of the moved tensor to the index of the same element before the move."""


@dataclass(frozen=True, slots=True)
class View:
    """A variable read through moves and times a factor: what another variable holds."""

    source: relax.Var
    moves: tuple[Move, ...]
    factor: float

    def at(self, index: Index) -> Index:
        """Return where the source holds the element that the moved tensor has at ``index``."""
        for move in self.moves:
            index = move(index)
        return index


def view(forms: Forms, var: relax.Var, *, scaled: bool = True) -> View:
    """Return ``var`` as a view of the variable where its elements were computed.

    Factors are looked through too where it may be ``scaled``.
    """
    moves: list[Move] = []
    factor = 1.0
    while (value := forms.definitions.get(var)) is not None:
        scale = scale_of(forms, value) if scaled else None
        move = None if scale is not None else _move(forms, value)
        if scale is not None:
            var, factor = value.args[0], factor * scale
        elif move is not None:
            moves.append(move)
            var = _moved(forms, value)
        else:
            break
    return View(var, tuple(moves), factor)


def scale_of(forms: Forms, value: relax.Expr) -> float | None:
    """Return the one number that a call multiplies its first argument by; None for other calls."""
    if not is_operator(value) or value.op.name not in ("relax.multiply", "relax.divide"):
        return None
    left, right = value.args
    number = forms.value(right)
    if not isinstance(left, relax.Var) or number is None or number.size != 1:
        return None
    if shape(left) != shape(value):
        return None
    scale = float(number.reshape(()))
    return scale if value.op.name == "relax.multiply" else 1.0 / scale if scale else None


def reshaped(before: Sequence[int], after: Sequence[int]) -> Move:
    """Return the move of a reshape, axes worked out group by group of equal size."""
    groups = _groups(before, after)

    def move(at: Index) -> Index:
        index: list[Any] = []
        for old, new in groups:
            flat = _flat(at[new], after[new])
            index += _unflat(flat, before[old])
        return tuple(index)

    return move


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[slice, slice]]:
    """Cut two shapes of one size into the shortest runs of axes of equal size."""
    groups = []
    old = new = 0
    while old < len(before) or new < len(after):
        old_end, new_end = min(old + 1, len(before)), min(new + 1, len(after))
        while (a := math.prod(before[old:old_end])) != (b := math.prod(after[new:new_end])):
            if a < b:
                old_end += 1
            else:
                new_end += 1
        groups.append((slice(old, old_end), slice(new, new_end)))
        old, new = old_end, new_end
    return groups


def _flat(at: Sequence[Any], extents: Sequence[int]) -> Any:
    flat: Any = 0
    for index, extent in zip(at, extents, strict=True):
        flat = flat * extent + index
    return flat


def _unflat(flat: Any, extents: Sequence[int]) -> list[Any]:
    index: list[Any] = []
    for extent in reversed(extents[1:]):
        index.append(tirx.floormod(flat, extent))
        flat = tirx.floordiv(flat, extent)
    return [flat, *reversed(index)] if extents else []


_RESHAPES = frozenset({"relax.reshape", "relax.expand_dims", "relax.squeeze", "relax.flatten"})


def _moved(forms: Forms, value: relax.Expr) -> relax.Var:
    """Return the variable whose elements a moving expression moves."""
    if isinstance(value, relax.TupleGetItem):
        return forms.definitions[value.tuple_value].args[0]
    return value if isinstance(value, relax.Var) else value.args[0]


def _move(forms: Forms, value: relax.Expr) -> Move | None:
    if isinstance(value, relax.Var):
        return lambda at: at
    if isinstance(value, relax.TupleGetItem):
        return _part(forms, value)
    if not is_operator(value) or not value.args or not isinstance(value.args[0], relax.Var):
        return None
    before, after = shape(value.args[0]), shape(value)
    if value.op.name in _RESHAPES:
        return reshaped(before, after)
    if value.op.name == "relax.permute_dims":
        return _permuted(value, len(before))
    if value.op.name == "relax.broadcast_to":
        return lambda at: tuple(
            0 if extent == 1 else i
            for i, extent in zip(at[len(after) - len(before) :], before, strict=True)
        )
    return _sliced(value, before) if value.op.name == "relax.strided_slice" else None


def _sliced(value: relax.Call, before: Sequence[int]) -> Move:
    axes, begin, _, *strides = ([int(item) for item in given] for given in value.args[1:])
    first, step = [0] * len(before), [1] * len(before)
    for position, axis in enumerate(axes):
        start, extent = begin[position], before[axis]
        first[axis] = max(0, min(start + extent if start < 0 else start, extent))
        step[axis] = strides[0][position] if strides else 1
    return lambda at: tuple(f + i * s for f, i, s in zip(first, at, step, strict=True))


def _permuted(value: relax.Call, rank: int) -> Move:
    axes = permutation(value, rank)
    return lambda at: tuple(at[axes.index(axis)] for axis in range(rank))


def permutation(call: relax.Call, rank: int) -> tuple[int, ...]:
    """Return the axes of a permute_dims."""
    axes = call.attrs.axes
    return tuple(range(rank))[::-1] if axes is None else tuple(int(axis) % rank for axis in axes)


def _part(forms: Forms, item: relax.TupleGetItem) -> Move | None:
    """Return the move of one part of a split."""
    split = forms.definitions.get(item.tuple_value)
    if split is None or not is_operator(split) or split.op.name != "relax.split":
        return None
    extents = [tuple(int(e) for e in part.shape) for part in split.ty.fields]
    axis = int(split.attrs.axis) % len(extents[0])
    first = sum(part[axis] for part in extents[: int(item.index)])
    return lambda at: (*at[:axis], at[axis] + first, *at[axis + 1 :])
