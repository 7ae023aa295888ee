"""Operators that choose one of several numbers, by comparisons that let a NaN through.

TVM's own take the other number where a comparison with NaN fails. ONNX Runtime keeps the NaN, and
so do these, at the same speed: which operand a failed comparison takes costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from tvm import relax, te, tirx

from builder.compiler.tensors import te_shape

Expr = Any
Legalization = Callable[[relax.BlockBuilder, relax.Call], relax.Expr]


def at_least(value: Expr, least: Expr) -> Expr:
    """Return the larger of two numbers, ``value`` where it is NaN."""
    return tirx.Select(value < least, least, value)


def at_most(value: Expr, most: Expr) -> Expr:
    """Return the smaller of two numbers, ``value`` where it is NaN."""
    return tirx.Select(value > most, most, value)


def clip(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Lower ``relax.clip``."""
    low, high = (float(bound.value) for bound in call.args[1:])

    def clipped(value: Expr) -> Expr:
        least, most = (tirx.const(bound, value.ty.dtype) for bound in (low, high))
        return at_most(at_least(value, least), most)

    return builder.call_te(_each("clip", clipped), call.args[0], primfunc_name_hint="clip")


def relu(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Lower ``relax.nn.relu``."""

    def compute(value: Expr) -> Expr:
        return at_least(value, tirx.const(0, value.ty.dtype))

    return builder.call_te(_each("relu", compute), call.args[0], primfunc_name_hint="relu")


def sign(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Lower ``relax.sign``: a zero is itself."""

    def compute(value: Expr) -> Expr:
        dtype = value.ty.dtype
        zero, one = tirx.const(0, dtype), tirx.const(1, dtype)
        below = (
            value if str(dtype).startswith("u") else tirx.Select(value < zero, zero - one, value)
        )
        return tirx.Select(value > zero, one, below)

    return builder.call_te(_each("sign", compute), call.args[0], primfunc_name_hint="sign")


def extreme(name: str, beats: Callable[[Expr, Expr], Expr]) -> Legalization:
    """Return the lowering of ``relax.maximum`` or ``relax.minimum``: NaN where either side is."""

    def chosen(left: Expr, right: Expr) -> Expr:
        wins = beats(left, right)
        if str(left.ty.dtype).startswith(("float", "bfloat")):
            wins = tirx.any(wins, tirx.isnan(left))  # and a NaN on the right is never beaten
        return tirx.Select(wins, left, right)

    def compute(left: te.Tensor, right: te.Tensor) -> te.Tensor:
        shape = _broadcast(te_shape(left), te_shape(right))
        return te.compute(shape, lambda *at: chosen(_at(left, at), _at(right, at)), name=name)

    def legalization(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        return builder.call_te(compute, *call.args, primfunc_name_hint=name)

    return legalization


maximum = extreme("maximum", lambda left, right: left > right)
minimum = extreme("minimum", lambda left, right: left < right)


def _each(name: str, function: Callable[[Expr], Expr]) -> Callable[[te.Tensor], te.Tensor]:
    return lambda data: te.compute(data.shape, lambda *at: function(data(*at)), name=name)


def _broadcast(left: Sequence[int], right: Sequence[int]) -> list[int]:
    pairs = zip_longest(reversed(left), reversed(right), fillvalue=1)
    return [b if a == 1 else a for a, b in pairs][::-1]


def _at(data: te.Tensor, at: Sequence[Expr]) -> Expr:
    """Return the element of ``data`` that broadcasts to ``at``."""
    shape = te_shape(data)
    aligned = zip(shape, at[len(at) - len(shape) :], strict=True)
    return data(*(0 if extent == 1 else index for extent, index in aligned))
