"""ReverseSequence and TensorScatter: elements moved by amounts known at run time."""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from builder.compiler.operators.node import Node
from builder.compiler.tensors import te_shape


def reverse_sequence(node: Node) -> relax.Expr | None:
    """Convert ReverseSequence: the first so many of each row, back to front."""
    batch, time = int(node.attribute("batch_axis", 1)), int(node.attribute("time_axis", 0))

    def compute(data: te.Tensor, lengths: te.Tensor) -> te.Tensor:
        def element(*at: Any) -> Any:
            length = lengths[at[batch]].astype("int32")
            step = at[time]
            source = list(at)
            source[time] = tirx.Select(step < length, length - 1 - step, step)
            return data[tuple(source)]

        return te.compute(data.shape, element, name="reverse_sequence")

    return node.call(compute, node.required(0), node.required(1), name="reverse_sequence")


def tensor_scatter(node: Node) -> relax.Expr | None:
    """Convert TensorScatter: a cache with new entries written from a position of each row."""
    axis = int(node.attribute("axis", -2)) % len(node.shape(0))
    circular = node.attribute("mode", "linear") == "circular"
    positions = [] if node.input(2) is None else [node.required(2)]

    def compute(past: te.Tensor, update: te.Tensor, *starts: te.Tensor) -> te.Tensor:
        length, count = te_shape(past)[axis], te_shape(update)[axis]

        def element(*at: Any) -> Any:
            start = starts[0][at[0]] if starts else tirx.const(0, "int64")
            if circular:  # however often it went round: int32 could not hold the number
                start = tirx.floormod(start, tirx.const(length, start.dtype))
            offset = at[axis] - start.astype("int32")
            if circular:
                offset = tirx.floormod(offset, length)
            source = list(at)
            # The place is read only where it lies inside; elsewhere it must still be one.
            source[axis] = tirx.max(tirx.min(offset, count - 1), 0)
            written = tirx.all(offset >= 0, offset < count)
            return tirx.if_then_else(written, update[tuple(source)], past[at])

        return te.compute(past.shape, element, name="tensor_scatter")

    operands = [node.required(0), node.required(1), *positions]
    return node.call(compute, *operands, name="tensor_scatter")
