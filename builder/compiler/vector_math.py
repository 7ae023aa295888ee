"""exp, exp2, log, erf, tanh and sigmoid as polynomials that stay in vector registers.

LLVM turns these into one call of libm a lane. The polynomials below are for float32; each docstring
gives the largest error found over the range (tests/unit/compiler/test_vector_math.py holds them to
it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import tvm
from tvm import tirx
from tvm.tirx.op import register_intrin_lowering

Expr = Any

_OVERRIDE = 99
"""Above the priority of TVM's own lowering of these intrinsics for LLVM."""

_LOG2E = 1.44269504088896341
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_EXP = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
_EXP2 = (
    1.3264726899476823e-3,
    9.6715126605986480e-3,
    5.5507337442432810e-2,
    2.4022242084918466e-1,
    6.9314697759847240e-1,
    1.0,
)
_TO_EXPONENT = 12582912.0 + 127.0
"""Added to a small float32 it leaves, in the lowest bits, its nearest whole number's exponent."""
_LN2 = 0.69314718055994531
_ROOT_HALF_BITS = 0x3F3504F3
_LEAST_NORMAL, _LIFT = 1.17549435e-38, 23
_LOG = (
    0.08722346704319607,
    -0.1436683873992875,
    0.1495226797408982,
    -0.16562393771411488,
    0.19956833492500362,
    -0.2500207403686046,
    0.33334185626887813,
    -0.4999998796455595,
    0.9999999741895604,
)
_ERF_UP = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_DOWN = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


@cache
def register() -> None:
    """Make TVM's LLVM code generator use these for float32, and TVM's own for other types."""
    for name, lowering in (
        ("tirx.exp", exp),
        ("tirx.exp2", exp2),
        ("tirx.erf", erf),
        ("tirx.log", log),
        ("tirx.sigmoid", sigmoid),
        ("tirx.tanh", tanh),
    ):
        register_intrin_lowering(name, "llvm", f=lowering, level=_OVERRIDE)
    # Else TVM calls it lane by lane, and LLVM makes vectors of half the width of that.
    tvm.ir.Op.get("tirx.erf").set_attr("TVectorizable", True)


def _for_float32(name: str, lower: Callable[[Expr, str], Expr]) -> Callable[[Expr], Expr]:
    stock = _stock(name)

    def lowering(call: Expr) -> Expr:
        dtype = str(call.ty.dtype)
        if not dtype.startswith("float32"):
            return stock(call) if stock else _bound(call.args[0], lambda x: lower(x, dtype))
        return _bound(call.args[0], lambda x: lower(x, dtype))

    lowering.__doc__ = lower.__doc__
    return lowering


def _stock(name: str) -> Callable[[Expr], Expr] | None:
    """Return how TVM itself lowers an intrinsic; None where it is no call (sigmoid)."""
    operator = tvm.ir.Op.get(f"tirx.{name}")
    lowerings = (operator.get_attr(f"{kind}.FLowerIntrinsic") for kind in ("llvm", "default"))
    return next((one for one in lowerings if one is not None), None)


def _bound(value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    """Return ``body`` of a variable that holds ``value``: it is computed once."""
    variable = tirx.Var("t", value.ty)
    return tirx.Let(variable, value, body(variable))


def _horner(x: Expr, coefficients: Sequence[float], dtype: str) -> Expr:
    result: Expr = tirx.const(coefficients[0], dtype)
    for coefficient in coefficients[1:]:
        result = result * x + tirx.const(coefficient, dtype)
    return result


def _clamped(x: Expr, low: float, high: float, dtype: str) -> Expr:
    """Clamp by comparisons, which a NaN fails and so passes through.

    The raised value has no variable of its own: with one TVM took minutes over polynomials of
    polynomials (Mish).
    """
    least, most = tirx.const(low, dtype), tirx.const(high, dtype)
    return tirx.Select(x > most, most, tirx.Select(x < least, least, x))


def _exp(x: Expr, dtype: str) -> Expr:
    """Relative error below 2e-7; saturates where float32 does; NaN stays NaN."""

    def c(value: float) -> Expr:
        return tirx.const(value, dtype)

    integer = dtype.replace("float32", "int32")

    def power(n: Expr) -> Expr:
        exponent = (n.astype(integer) + tirx.const(127, integer)) << tirx.const(23, integer)
        return tirx.reinterpret(dtype, exponent)

    def of(n: Expr, r: Expr) -> Expr:
        return (_horner(r, _EXP, dtype) * r * r + r + c(1.0)) * power(n)

    def reduced(y: Expr) -> Expr:
        return _bound(
            tirx.floor(y * c(_LOG2E) + c(0.5)),
            lambda n: _bound(y - n * c(_LN2_HIGH) - n * c(_LN2_LOW), lambda r: of(n, r)),
        )

    # Below the least normal number the exponent's bits come out as 0: exp(-inf) is 0, not small.
    return _bound(_clamped(x, -88.0, 88.3762626647949, dtype), reduced)


def _exp2(x: Expr, dtype: str) -> Expr:
    """Relative error below 2.5e-7; 0 from -127 down, saturates at 2^127; NaN stays NaN."""
    integer = dtype.replace("float32", "int32")
    shift = tirx.const(_TO_EXPONENT, dtype)

    def of(y: Expr, shifted: Expr) -> Expr:
        power = tirx.reinterpret(integer, shifted) << tirx.const(23, integer)
        part = _bound(y - (shifted - shift), lambda r: _horner(r, _EXP2, dtype))
        return part * tirx.reinterpret(dtype, power)

    inside = _clamped(x, -127.0, 127.0, dtype)
    return _bound(inside, lambda y: _bound(y + shift, lambda shifted: of(y, shifted)))


def _log(x: Expr, dtype: str) -> Expr:
    """Relative error below 3e-7, subnormal numbers included; NaN below 0."""
    integer = dtype.replace("float32", "int32")
    low = x < tirx.const(_LEAST_NORMAL, dtype)

    def c(value: float) -> Expr:
        return tirx.const(value, dtype)

    def of(bits: Expr, exponent: Expr) -> Expr:
        part = tirx.reinterpret(dtype, bits - (exponent << tirx.const(23, integer))) - c(1.0)
        whole = exponent.astype(dtype) - tirx.Select(low, c(float(_LIFT)), c(0.0))
        return _bound(part, lambda f: _horner(f, _LOG, dtype) * f + whole * c(_LN2))

    def reduced(bits: Expr) -> Expr:
        exponent = (bits - tirx.const(_ROOT_HALF_BITS, integer)) >> tirx.const(23, integer)
        return _bound(exponent, lambda e: of(bits, e))

    lifted = tirx.Select(low, x * c(2.0**_LIFT), x)
    found = _bound(tirx.reinterpret(integer, lifted), reduced)
    below = tirx.Select(x < c(0.0), c(math.nan), c(-math.inf))
    return tirx.Select(x < c(math.inf), tirx.Select(x > c(0.0), found, below), x)


def _erf(x: Expr, dtype: str) -> Expr:
    """Absolute error below 4e-7: a quotient of polynomials on [-4, 4], constant outside."""

    def of(y: Expr, z: Expr) -> Expr:
        return y * _horner(z, _ERF_UP, dtype) / _horner(z, _ERF_DOWN, dtype)

    inside = _clamped(x, -4.0, 4.0, dtype)
    return _bound(inside, lambda y: _bound(y * y, lambda z: of(y, z)))


def _sigmoid(x: Expr, dtype: str) -> Expr:
    """Relative error below 4e-7."""
    one = tirx.const(1.0, dtype)
    return one / (one + tirx.exp(tirx.const(0.0, dtype) - x))


def _tanh(x: Expr, dtype: str) -> Expr:
    """Absolute error below 3e-7, by exp; small arguments keep their relative error by x - x^3/3."""
    one, two = tirx.const(1.0, dtype), tirx.const(2.0, dtype)
    whole = one - two / (tirx.exp(x * two) + one)
    near = x - x * x * x * tirx.const(1.0 / 3.0, dtype)
    return tirx.Select(tirx.abs(x) < tirx.const(0.02, dtype), near, whole)


exp, exp2 = _for_float32("exp", _exp), _for_float32("exp2", _exp2)
erf, log = _for_float32("erf", _erf), _for_float32("log", _log)
sigmoid, tanh = _for_float32("sigmoid", _sigmoid), _for_float32("tanh", _tanh)
