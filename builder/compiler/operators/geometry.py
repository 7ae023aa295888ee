"""Col2Im and DeformConv: sums over windows that overlap or are bent."""

from __future__ import annotations

import itertools
import math
from typing import Any

from tvm import relax, te, tirx

from builder.compiler.operators.coordinates import between
from builder.compiler.operators.node import Node, dtype_of
from builder.compiler.operators.windows import window
from builder.compiler.tensors import te_shape


def col2im(node: Node) -> relax.Expr | None:
    """Convert Col2Im: each element of the image is the sum of the columns' entries for it."""
    image, block = node.value(1), node.value(2)
    if image is None or block is None:
        return None
    extents, kernel = [int(e) for e in image], [int(e) for e in block]
    found = window(node, extents, kernel)
    batch, rows, _ = node.shape(0)
    channels = rows // math.prod(kernel)
    dtype = dtype_of(node.required(0))

    def compute(columns: te.Tensor) -> te.Tensor:
        def element(n: Any, c: Any, *at: Any) -> Any:
            total: Any = tirx.const(0, dtype)
            for number, offset in enumerate(itertools.product(*map(range, kernel))):
                tests, column = [], tirx.const(0, "int32")
                for axis, place in enumerate(at):
                    shifted = place + found.before[axis] - offset[axis] * found.dilations[axis]
                    stride = found.strides[axis]
                    stop = tirx.floordiv(shifted, stride)
                    tests += [
                        shifted >= 0,
                        tirx.floormod(shifted, stride) == 0,
                        stop < found.result[axis],
                    ]
                    column = column * found.result[axis] + stop
                value = columns[n, c * math.prod(kernel) + number, column]
                total = total + tirx.if_then_else(tirx.all(*tests), value, tirx.const(0, dtype))
            return total

        return te.compute([batch, channels, *extents], element, name="col2im")

    return node.call(compute, node.required(0), name="col2im")


def deform_conv(node: Node) -> relax.Expr | None:
    """Convert DeformConv over images: samples at bent places, then an ordinary sum."""
    batch, channels, *extents = node.shape(0)
    filters, per_group, *kernel = node.shape(1)
    if len(extents) != 2:
        return None
    found = window(node, extents, kernel)
    groups = int(node.attribute("group", 1))
    offset_groups = int(node.attribute("offset_group", 1))
    taps = math.prod(kernel)
    dtype = dtype_of(node.required(0))

    def sample(data: te.Tensor, offset: te.Tensor, *mask: te.Tensor) -> te.Tensor:
        def element(n: Any, c: Any, tap: Any, y: Any, x: Any) -> Any:
            group = tirx.floordiv(c, channels // offset_groups)
            first = (group * taps + tap) * 2
            steps = (tirx.floordiv(tap, kernel[1]), tirx.floormod(tap, kernel[1]))
            places = found.source((y, x), steps)
            down, right = (
                place.astype(dtype) + offset[n, first + number, y, x]
                for number, place in enumerate(places)
            )
            value = _bilinear(data, n, c, down, right)
            return value * mask[0][n, group * taps + tap, y, x] if mask else value

        return te.compute([batch, channels, taps, *found.result], element, name="deform_sample")

    def gather(samples: te.Tensor, weight: te.Tensor, *bias: te.Tensor) -> te.Tensor:
        c = te.reduce_axis((0, per_group), "c")
        k = te.reduce_axis((0, taps), "k")

        def element(n: Any, f: Any, y: Any, x: Any) -> Any:
            group = tirx.floordiv(f, filters // groups)
            at = (n, group * per_group + c, k, y, x)
            tap = weight[f, c, tirx.floordiv(k, kernel[1]), tirx.floormod(k, kernel[1])]
            return te.sum(samples[at] * tap, axis=[c, k])

        total = te.compute([batch, filters, *found.result], element, name="deform_sum")
        if not bias:
            return total
        return te.compute(
            te_shape(total), lambda n, f, y, x: total[n, f, y, x] + bias[0][f], name="deform_bias"
        )

    masks = [node.required(4)] if node.input(4) is not None else []
    biases = [node.required(3)] if node.input(3) is not None else []
    samples = node.call(sample, node.required(0), node.required(2), *masks, name="deform_sample")
    emitted = node.builder.emit(samples)
    return node.call(gather, emitted, node.required(1), *biases, name="deform_conv")


def _bilinear(data: te.Tensor, n: Any, c: Any, y: Any, x: Any) -> Any:
    """Return ``data[n, c]`` at a fractional place; outside of it is 0, wherever it is."""
    height, width = te_shape(data)[2:]
    dtype = data.dtype
    y, x = between(y, -2, height + 1, dtype), between(x, -2, width + 1, dtype)
    top, left = tirx.floor(y), tirx.floor(x)
    total: Any = tirx.const(0, dtype)
    for down, right in itertools.product((0, 1), (0, 1)):
        row, column = top.astype("int32") + down, left.astype("int32") + right
        by_row = (y - top) if down else tirx.const(1, dtype) - (y - top)
        by_column = (x - left) if right else tirx.const(1, dtype) - (x - left)
        inside = tirx.all(row >= 0, row < height, column >= 0, column < width)
        near = data[
            n, c, tirx.max(tirx.min(row, height - 1), 0), tirx.max(tirx.min(column, width - 1), 0)
        ]
        total = total + tirx.if_then_else(inside, near, tirx.const(0, dtype)) * by_row * by_column
    return total
