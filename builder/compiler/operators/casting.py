"""Cast of floats to integers: defined for every number, and the same on every CPU.

A C cast of what does not fit is undefined: x86 answers the least integer, Arm the nearest one. Here
each is answered as ONNX Runtime does on x86, where it always gives the same.
"""

from __future__ import annotations

from typing import Any

from onnx import helper
from tvm import relax, te, tirx

from builder.compiler.operators.node import Node, dtype_of

_INTEGERS = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def cast(node: Node) -> relax.Expr | None:
    """Convert Cast of floats to integers; other casts are left to TVM."""
    return _converted(node, str(helper.tensor_dtype_to_np_dtype(node.attribute("to"))))


def cast_like(node: Node) -> relax.Expr | None:
    """Convert CastLike of floats to integers; others are left to TVM."""
    return _converted(node, dtype_of(node.required(1)))


def _converted(node: Node, dtype: str) -> relax.Expr | None:
    data = node.required(0)
    if dtype not in _INTEGERS or not dtype_of(data).startswith("float"):
        return None

    def compute(source: te.Tensor) -> te.Tensor:
        return te.compute(source.shape, lambda *at: _integer(source(*at), dtype), name="cast")

    return node.call(compute, data, name="cast")


def _integer(value: Any, dtype: str) -> Any:
    """Return a float without its fraction, modulo the integer's range where it is narrower."""
    if dtype == "uint64":
        top = tirx.const(2.0**63, value.ty.dtype)
        upper = _within(value - top, 64).astype(dtype) + tirx.const(1 << 63, dtype)
        return tirx.Select(value >= top, upper, _within(value, 64).astype(dtype))
    wide = 64 if dtype in ("int64", "uint32") else 32
    return _within(value, wide).astype(dtype)


def _within(value: Any, bits: int) -> Any:
    """Return a float as a signed integer, the least one where that has no such number."""
    limit, dtype = tirx.const(2.0 ** (bits - 1), value.ty.dtype), f"int{bits}"
    fits = tirx.all(value >= -limit, value < limit)
    return tirx.Select(fits, value.astype(dtype), tirx.min_value(dtype))
