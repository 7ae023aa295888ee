"""exp, exp2, log, erf, tanh and sigmoid as polynomials that stay in vector registers.

LLVM turns these into one call of libm a lane. The polynomials below are for float32; each docstring
gives the largest error found over the range (tests/unit/compiler/test_vector_math.py holds them to
it).

TVM's simplifier puts each variable's value in its place wherever it looks, and so a polynomial of a
polynomial of a polynomial kept it busy for a minute. Therefore TVM sees calls only, which become
LLVM functions that are written for the purpose, linked in and inlined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any

import tvm
from tvm import tirx
from tvm.tirx.op import register_intrin_lowering

from builder.compiler.vector_ir import Formula, Value, clamped, definition, polynomial

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
    1.0,
)
_EXP_TO_0, _EXP_TO_INFINITY = -104.0, 89.0
_EXP2 = (
    1.3264726899476823e-3,
    9.6715126605986480e-3,
    5.5507337442432810e-2,
    2.4022242084918466e-1,
    6.9314697759847240e-1,
    1.0,
)
_TO_WHOLE = 12582912.0
"""Added to a small float32 it leaves, in the lowest bits, the nearest whole number."""
_BIAS = 127
"""Of a float32's exponent."""
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


def exp(x: Value) -> Value:
    """Relative error below 2e-7, infinite from 88.7228 up; results below 1.2e-38 are subnormal.

    The power of two is multiplied in half by half: its exponents reach from -150 to 128.
    """
    y = clamped(x, _EXP_TO_0, _EXP_TO_INFINITY)
    shifted = y * _LOG2E + (_TO_WHOLE + 2 * _BIAS)
    n = shifted - (_TO_WHOLE + 2 * _BIAS)
    r = y - n * _LN2_HIGH - n * _LN2_LOW
    first = shifted.bits() >> 1
    second = shifted.bits() - first
    power = (first << 23).bits()
    return (polynomial(r, _EXP) * r * power + power) * (second << 23).bits()


def exp2(x: Value) -> Value:
    """Relative error below 2.5e-7; 0 from -127 down, saturates at 2^127; NaN stays NaN."""
    y = clamped(x, -127.0, 127.0)
    shifted = y + (_TO_WHOLE + _BIAS)
    power = (shifted.bits() << 23).bits()
    return polynomial(y - (shifted - (_TO_WHOLE + _BIAS)), _EXP2) * power


def log(x: Value) -> Value:
    """Relative error below 3e-7, subnormal numbers included; NaN below 0."""
    low = x < _LEAST_NORMAL
    bits = low.select(x * 2.0**_LIFT, x).bits()
    exponent = (bits - _ROOT_HALF_BITS) >> 23
    part = (bits - (exponent << 23)).bits() - 1.0
    whole = exponent.to_float() - low.select(float(_LIFT), x.of(0.0))
    found = polynomial(part, _LOG) * part + whole * _LN2
    below = (x < 0.0).select(math.nan, x.of(-math.inf))
    return (x < math.inf).select((x > 0.0).select(found, below), x)


def erf(x: Value) -> Value:
    """Absolute error below 4e-7: a quotient of polynomials on [-4, 4], constant outside."""
    y = clamped(x, -4.0, 4.0)
    z = y * y
    return y * polynomial(z, _ERF_UP) / polynomial(z, _ERF_DOWN)


def sigmoid(x: Value) -> Value:
    """Relative error below 4e-7."""
    return 1.0 / (exp(0.0 - x) + 1.0)


def tanh(x: Value) -> Value:
    """Absolute error below 3e-7, by exp; small arguments keep their relative error by x - x^3/3."""
    whole = 1.0 - 2.0 / (exp(x * 2.0) + 1.0)
    near = x - x * x * x * (1.0 / 3.0)
    return (x.magnitude() < 0.02).select(near, whole)


_FORMULAS: Mapping[str, Formula] = {
    "exp": exp,
    "exp2": exp2,
    "erf": erf,
    "log": log,
    "sigmoid": sigmoid,
    "tanh": tanh,
}

_needed: ContextVar[dict[str, str]] = ContextVar("_needed")
"""The text of each function that is called by the module being lowered, by its symbol."""


@cache
def register() -> None:
    """Make TVM's LLVM code generator use these for float32, and TVM's own for other types.

    Only ``linked`` modules can be: those of ``stack.PIPELINE``.
    """
    for name, formula in _FORMULAS.items():
        register_intrin_lowering(
            f"tirx.{name}", "llvm", f=_lowering(name, formula), level=_OVERRIDE
        )
    # Else TVM calls it lane by lane, and LLVM makes vectors of half the width of that.
    tvm.ir.Op.get("tirx.erf").set_attr("TVectorizable", True)


def linked(lower: Callable[[tvm.IRModule], tvm.IRModule], mod: tvm.IRModule) -> tvm.IRModule:
    """Return ``lower(mod)`` with the functions that its intrinsics became calls of."""
    needed: dict[str, str] = {}
    token = _needed.set(needed)
    try:
        mod = lower(mod)
    finally:
        _needed.reset(token)
    if needed:
        variable, function = min(mod.functions.items(), key=lambda item: item[0].name_hint)
        text = tvm.ir.StringImm("\n".join(needed[symbol] for symbol in sorted(needed)))
        place = tirx.IntImm("int32", 0)
        body = tirx.AttrStmt(place, "pragma_import_llvm", text, function.body)
        mod.update_func(variable, function.with_body(body))
    return mod


def _lowering(name: str, formula: Formula) -> Callable[[Expr], Expr]:
    stock = _stock(name)

    def lowering(call: Expr) -> Expr:
        dtype = str(call.ty.dtype)
        if dtype.partition("x")[0] != "float32":
            return stock(call)
        lanes = int(tvm.DataType(dtype).lanes)
        symbol = f"boardwright_{name}_{lanes}"
        _needed.get()[symbol] = definition(symbol, formula, lanes)
        return tirx.call_pure_extern(dtype, symbol, *call.args)

    return lowering


def _stock(name: str) -> Callable[[Expr], Expr]:
    """Return how TVM itself lowers an intrinsic; sigmoid has no such function."""
    operator = tvm.ir.Op.get(f"tirx.{name}")
    lowerings = (operator.get_attr(f"{kind}.FLowerIntrinsic") for kind in ("llvm", "default"))
    return next((one for one in lowerings if one is not None), _plain_sigmoid)


def _plain_sigmoid(call: Expr) -> Expr:
    dtype = str(call.ty.dtype)
    one, zero = tirx.const(1.0, dtype), tirx.const(0.0, dtype)
    return one / (one + tirx.exp(zero - call.args[0]))
