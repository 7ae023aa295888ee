"""Matrix products over packed operands, and what works on rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from builder.compiler import tensors
from builder.compiler.blocking import attention
from builder.compiler.blocking.elementwise import BINARY
from builder.compiler.blocking.forms import ANCHOR, OPAQUE, Forms, is_operator, shape
from builder.compiler.kernels import layernorm, matmul, softmax, tiles

_POLYNOMIALS = frozenset(
    {
        "relax.erf",
        "relax.exp",
        "relax.nn.gelu",
        "relax.nn.gelu_tanh",
        "relax.nn.silu",
        "relax.sigmoid",
        "relax.tanh",
    }
)
_NEAR = 6
"""Operators after a product that may still be fused into it."""
_ROWS_AT_ONCE = 12


def product(forms: Forms, var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Multiply; a product that ends an attention is one kernel with it."""
    attended = attention.attended(forms, var)
    return matrix_product(forms, var, call) if attended is None else attended


def matrix_product(forms: Forms, var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Multiply by weights packed here, or by an activation that is packed on the way in."""
    left, right = call.args
    weights = forms.value(right)
    if weights is not None and weights.ndim == 2:
        return _by_weights(forms, var, left, weights)
    if weights is not None or not all(isinstance(side, relax.Var) for side in (left, right)):
        return None
    if shape(left)[:-2] != shape(right)[:-2] or len(shape(left)) < 3:
        return None
    compute = matmul.compute_batched(matmul.panel(shape(right)[-1], forms.block))
    operands = (forms.plain_form(left), forms.plain_form(right))
    pattern = _pattern(forms, var, shape(var)[-2])
    return forms.emit_te(compute, *operands, name="batch_matmul", pattern=pattern)


def _by_weights(
    forms: Forms, var: relax.Var, left: relax.Expr, weights: npt.NDArray[Any]
) -> relax.Expr | None:
    known, columns = forms.value(left), weights.shape[1]
    if known is not None:
        product = known.astype(np.float64) @ weights.astype(np.float64)
        return tensors.constant(product.astype(np.float32))
    packed = matmul.pack_weights(weights, matmul.panel(columns, forms.block))
    operands = (forms.plain_form(left), tensors.constant(packed))
    lead = shape(var)[:-1]
    axis = matmul.rows_axis(lead)
    pattern = _pattern(forms, var, (1, *lead)[-1] if axis is None else lead[axis])
    compute = matmul.compute_packed(columns)
    return forms.emit_te(compute, *operands, name="matmul", pattern=pattern)


def _pattern(forms: Forms, var: relax.Var, rows: int) -> int:
    """Return the pattern of a product of so many rows.

    A polynomial behind the product wants the registers its sums are in. Where rows fall into whole
    tiles the sums are set aside first; where they do not, the polynomial is a kernel of its own.
    """
    whole = rows == 1 or tiles.whole_row_tile(rows, _ROWS_AT_ONCE) is not None
    return ANCHOR if whole or not _feeds_polynomial(forms, var) else OPAQUE


def _feeds_polynomial(forms: Forms, var: relax.Var) -> bool:
    """Tell whether an operator that needs a polynomial follows soon, through elementwise ones."""
    frontier = [var]
    for _ in range(_NEAR):
        readers = [reader for each in frontier for reader in forms.readers.get(each, ())]
        names = {reader.value.op.name for reader in readers if is_operator(reader.value)}
        if not names.isdisjoint(_POLYNOMIALS):
            return True
        frontier = [
            reader.var
            for reader in readers
            if is_operator(reader.value) and reader.value.op.name in BINARY
        ]
    return False


def row_softmax(forms: Forms, var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Softmax over the last axis, of rows that fill a vector."""
    extents = shape(var)
    if int(call.attrs.axis) % len(extents) != len(extents) - 1 or extents[-1] < forms.block:
        return None
    if len(extents) < 2:
        return None
    source = forms.in_plain(call.args[0])
    return forms.emit_te(softmax.compute(forms.block), source, name="softmax", pattern=OPAQUE)


def layer_norm(forms: Forms, var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Normalise over the last axis, of rows that whole vectors fill."""
    extents = shape(var)
    axes = [int(axis) % len(extents) for axis in call.attrs.axes]
    if axes != [len(extents) - 1] or extents[-1] % forms.block or len(extents) < 2:
        return None
    compute = layernorm.compute(float(call.attrs.epsilon), forms.block)
    operands = [forms.in_plain(operand) for operand in call.args]
    return forms.emit_te(compute, *operands, name="layer_norm", pattern=OPAQUE)
