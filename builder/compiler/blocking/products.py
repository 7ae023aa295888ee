"""Matrix products over packed operands, and what works on rows."""

from __future__ import annotations

from tvm import relax

from builder.compiler import tensors
from builder.compiler.blocking.forms import ANCHOR, OPAQUE, Forms, shape
from builder.compiler.kernels import layernorm, matmul, softmax


def matrix_product(forms: Forms, _var: relax.Var, call: relax.Call) -> relax.Expr | None:
    """Multiply by weights packed here, or by an activation that is packed on the way in."""
    left, right = call.args
    weights = forms.value(right)
    if isinstance(left, relax.Var) and weights is not None and weights.ndim == 2:
        columns = weights.shape[1]
        packed = matmul.pack_weights(weights, matmul.panel(columns, forms.block))
        compute = matmul.compute_packed(columns)
        operands = (forms.plain_form(left), tensors.constant(packed))
        return forms.emit_te(compute, *operands, name="matmul", pattern=ANCHOR)
    if weights is not None or not all(isinstance(side, relax.Var) for side in (left, right)):
        return None
    if shape(left)[:-2] != shape(right)[:-2] or len(shape(left)) < 3:
        return None
    compute = matmul.compute_batched(matmul.panel(shape(right)[-1], forms.block))
    operands = (forms.plain_form(left), forms.plain_form(right))
    return forms.emit_te(compute, *operands, name="batch_matmul", pattern=ANCHOR)


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
