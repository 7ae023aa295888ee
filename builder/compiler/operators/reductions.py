"""Reductions whose stock conversions divide by zero or subtract infinities."""

from __future__ import annotations

from tvm import relax

from builder.compiler.operators.node import Node, dtype_of


def log_sum_exp(node: Node) -> relax.Expr | None:
    """Convert ReduceLogSumExp of floats over constant axes.

    The largest element is taken off before exp and added again, unless it is infinite: infinity
    less infinity is no number, and without it the sum is infinite as it should be.
    """
    data = node.required(0)
    given = node.value(1) if node.input(1) is not None else node.attribute("axes")
    if not dtype_of(data).startswith("float") or (node.input(1) is not None and given is None):
        return None
    axes = [] if given is None else [int(axis) for axis in given]
    if not axes and node.attribute("noop_with_empty_axes", 0):
        return None
    emit = node.builder.emit
    largest = emit(relax.op.max(data, axes or None, keepdims=True))
    zero = relax.const(0, dtype_of(data))
    taken = emit(relax.op.where(relax.op.isinf(largest), zero, largest))
    total = emit(relax.op.sum(relax.op.exp(relax.op.subtract(data, taken)), axes or None, True))
    found = emit(relax.op.add(relax.op.log(total), taken))
    return found if node.attribute("keepdims", 1) else relax.op.squeeze(found, axes or None)


def dynamic_quantize(node: Node) -> relax.Expr:
    """Convert DynamicQuantizeLinear; zeros alone have the scale 1, as in ONNX Runtime."""
    data, emit = node.required(0), node.builder.emit
    zero, steps, one = (relax.const(value, dtype_of(data)) for value in (0, 255, 1))
    least = emit(relax.op.minimum(zero, relax.op.min(data)))
    extent = emit(relax.op.subtract(relax.op.maximum(zero, relax.op.max(data)), least))
    step = relax.op.divide(extent, steps)
    scale = emit(relax.op.where(relax.op.equal(extent, zero), one, step))
    place = relax.op.subtract(zero, relax.op.divide(least, scale))
    zero_point = emit(relax.op.astype(relax.op.round(relax.op.clip(place, 0, 255)), "uint8"))
    quantised = relax.op.quantize(data, scale, zero_point, axis=0, out_dtype="uint8")
    return relax.Tuple([emit(quantised), scale, zero_point])
