"""Lowerings of our own, where TVM's differ from ONNX or are slower than need be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tvm
from tvm import relax, te, tirx

from builder.compiler import extremes, selections, tensors
from builder.compiler.kernels import division, joining, local_response
from builder.compiler.operators import responses
from builder.compiler.selections import Legalization


def legalize(mod: tvm.IRModule, _facts: object) -> tvm.IRModule:
    """Lower every Relax operator to a kernel."""
    return relax.transform.LegalizeOps(_OWN)(mod)


def _extreme(name: str, beats: Callable[[Any, Any], Any], sign: int) -> Legalization:
    """Return the largest or smallest of infinities too: TVM starts at the largest finite number.

    NaN stays, as in ONNX Runtime.
    """

    def combine(found: Any, new: Any) -> Any:
        wins = beats(new, found)
        if str(new.ty.dtype).startswith(("float", "bfloat")):
            wins = tirx.any(wins, tirx.isnan(new))  # and once found, it is never beaten
        return tirx.Select(wins, new, found)

    def legalization(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        axes = None if call.attrs.axis is None else [int(axis) for axis in call.attrs.axis]
        keep = bool(call.attrs.keepdims)

        def compute(data: te.Tensor) -> te.Tensor:
            return _reduced(data, axes, keep, te.comm_reducer(combine, _start(sign)), name)

        return builder.call_te(compute, call.args[0], primfunc_name_hint=name)

    return legalization


def _start(sign: int) -> Callable[[str], Any]:
    def of(dtype: Any) -> Any:
        if str(dtype).startswith("float"):
            return tirx.const(sign * math.inf, dtype)
        return tirx.max_value(dtype) if sign > 0 else tirx.min_value(dtype)

    return of


def _reduced(
    data: te.Tensor, axes: Sequence[int] | None, keep: bool, reducer: Any, name: str
) -> te.Tensor:
    rank = len(data.shape)
    reduced = set(range(rank)) if axes is None else {axis % rank for axis in axes}
    steps = {axis: te.reduce_axis((0, data.shape[axis]), f"k{axis}") for axis in sorted(reduced)}
    shape = [
        1 if axis in reduced else data.shape[axis]
        for axis in range(rank)
        if keep or axis not in reduced
    ]

    def element(*at: Any) -> Any:
        left = iter(at if not keep else [i for axis, i in enumerate(at) if axis not in reduced])
        index = tuple(steps[axis] if axis in reduced else next(left) for axis in range(rank))
        return reducer(data[index], axis=list(steps.values()))

    return te.compute(shape, element, name=name)


def _concat(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Join part by part; a single part, or a list of them without an axis, is left to TVM."""
    parts = call.args[0]
    fields = list(parts.fields) if isinstance(parts, relax.Tuple) else []
    if len(fields) < 2 or call.attrs.axis is None:
        return tvm.ir.Op.get("relax.concat").get_attr("FLegalize")(builder, call)
    shapes = [tuple(int(extent) for extent in field.ty.shape) for field in fields]
    axis = int(call.attrs.axis) % len(shapes[0])
    dtype = str(call.ty.dtype)
    in_place = _are_made(builder, fields) and joining.are_spans(shapes, axis, dtype)
    kernel = joining.concatenation(shapes, axis, dtype, in_place=in_place)
    return relax.call_tir(builder.add_func(kernel, "concatenate"), fields, call.ty)


def _are_made(builder: relax.BlockBuilder, fields: Sequence[relax.Expr]) -> bool:
    """Tell whether fields are different values that the model computes."""
    variables = [field for field in fields if isinstance(field, relax.Var)]
    if len(set(variables)) < len(fields):
        return False
    return all(builder.lookup_binding(variable) is not None for variable in variables)


def _whole(otherwise: Legalization) -> Legalization:
    """Return a division that never traps for integers with a sign, ``otherwise`` for the rest."""

    def legalization(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        by = tensors.value(call.args[1])
        if not str(call.ty.dtype).startswith("int") or (by is not None and not (by == -1).any()):
            return otherwise(builder, call)
        divide = division.DIVISIONS[call.op.name]
        compute = division.compute(divide, [int(extent) for extent in call.ty.shape])
        name = call.op.name.removeprefix("relax.")
        return builder.call_te(compute, *call.args, primfunc_name_hint=name)

    return legalization


def _stock(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    return call.op.get_attr("FLegalize")(builder, call)


def _divide(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Divide by one number as a product with its inverse: a division takes ten times as long.

    The inverse of a number near the ends of float32 has lost digits, and is not taken.
    """
    by = tensors.value(call.args[1])
    inverse = 1.0 / float(by.reshape(())) if by is not None and by.size == 1 and by.any() else 0.0
    if str(call.ty.dtype) != "float32" or not _SMALL < abs(inverse) < 1.0 / _SMALL:
        return tvm.ir.Op.get("relax.divide").get_attr("FLegalize")(builder, call)
    product = relax.op.multiply(call.args[0], relax.const(inverse, "float32"))
    return tvm.ir.Op.get("relax.multiply").get_attr("FLegalize")(
        builder, builder.normalize(product)
    )


def _local_response(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    compute = local_response.compute_plain(responses.response(call))
    return builder.call_te(compute, call.args[0], primfunc_name_hint="local_response")


_SMALL = 1e-30

_OWN: dict[str, Legalization] = {
    responses.OPERATOR: _local_response,
    "relax.argmax": extremes.argmax,
    "relax.argmin": extremes.argmin,
    "relax.clip": selections.clip,
    "relax.concat": _concat,
    "relax.divide": _whole(_divide),
    "relax.floor_mod": _whole(_stock),
    "relax.max": _extreme("max", lambda x, y: x > y, -1),
    "relax.maximum": selections.maximum,
    "relax.min": _extreme("min", lambda x, y: x < y, 1),
    "relax.minimum": selections.minimum,
    "relax.mod": _whole(_stock),
    "relax.nn.relu": selections.relu,
    "relax.sign": selections.sign,
}
