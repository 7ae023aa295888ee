"""Integer operators in floating point, where that is exact.

Products of 8-bit numbers and their sums are whole numbers; float32 holds those up to 2^24 and
float64 up to 2^53 without rounding. So integer convolutions and products run on the kernels that
are fast, and give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from builder.compiler.prepare.rewriting import Array, Rewrite, Site

EXACT_IN_FLOAT32 = 2**24
"""Whole numbers below it are told apart."""


Axes = Literal["column", "filter"]
_COLUMN: Axes = "column"
_FILTER: Axes = "filter"
Shape = tuple[int, ...]
_BY_ROW, _BY_COLUMN = (-1, 1), (-1,)


def matmul_integer(site: Site) -> bool:
    """MatMulInteger: a MatMul of whole numbers."""
    exact = _exact_type(site, 1, 3, _COLUMN)
    left = _whole(site, 0, 2, exact, _BY_ROW)
    right = _whole(site, 1, 3, exact, _BY_COLUMN)
    site.cast(site.emit("MatMul", left, right), np.int32, to=site.node.output[0])
    return True


def conv_integer(site: Site) -> bool:
    """ConvInteger: a Conv of whole numbers."""
    rank = len(site.shape(1) or ())
    exact = _exact_type(site, 1, 3, _FILTER)
    data = _whole(site, 0, 2, exact, ())
    weight = _whole(site, 1, 3, exact, (-1, *[1] * (rank - 1)))
    whole = site.emit("Conv", data, weight, **_window(site))
    site.cast(whole, np.int32, to=site.node.output[0])
    return True


def qlinear_matmul(site: Site) -> bool:
    """QLinearMatMul: a product of whole numbers, scaled and rounded."""
    exact = _exact_type(site, 3, 5, _COLUMN)
    left = _whole(site, 0, 2, exact, _BY_ROW)
    right = _whole(site, 3, 5, exact, _BY_COLUMN)
    whole = site.cast(site.emit("MatMul", left, right), np.float32)
    scales = (_scale(site, 1, _BY_ROW), _scale(site, 4, _BY_COLUMN), site.node.input[6])
    _requantize(site, whole, scales, 7)
    return True


def qlinear_conv(site: Site) -> bool:
    """QLinearConv: a convolution of whole numbers, its bias added, scaled and rounded."""
    rank = len(site.shape(3) or ())
    exact = _exact_type(site, 3, 5, _FILTER, bias=8)
    operands = [
        _whole(site, 0, 2, exact, ()),
        _whole(site, 3, 5, exact, (-1, *[1] * (rank - 1))),
    ]
    if site.has(8):
        operands.append(site.cast(site.node.input[8], exact))
    whole = site.cast(site.emit("Conv", *operands, **_window(site)), np.float32)
    by_channel = _scale(site, 4, (-1, *[1] * (rank - 2)))
    _requantize(site, whole, (site.node.input[1], by_channel, site.node.input[6]), 7)
    return True


def _exact_type(
    site: Site, weight: int, zero_point: int, axes: Axes, bias: int | None = None
) -> np.dtype[Any]:
    """Return the smaller float type that holds every sum of the weight's products exactly.

    ``bias`` is the input, if any, that is added to the sums.
    """
    values, zero = site.value(weight), site.value(zero_point)
    added = None if bias is None else site.value(bias)
    if values is None or not site.is_known(zero_point, *(() if bias is None else (bias,))):
        return np.dtype(np.float64)
    whole = values.astype(np.int64)
    if zero is not None:
        whole = whole - (_by_filter(zero, whole.ndim) if axes is _FILTER else zero)
    terms = np.abs(whole).sum(axis=tuple(range(1, whole.ndim)) if axes is _FILTER else -2)
    largest = 2 ** (8 * site.dtype(weight).itemsize) * int(terms.max(initial=0))
    if added is not None:
        largest += int(np.abs(added.astype(np.int64)).max(initial=0))
    return np.dtype(np.float32 if largest < EXACT_IN_FLOAT32 else np.float64)


def _by_filter(zero: Array, rank: int) -> Array:
    return zero.astype(np.int64).reshape(-1, *[1] * (rank - 1))


def _whole(site: Site, data: int, zero_point: int, exact: np.dtype[Any], shape: Shape) -> str:
    """Return an operand less its zero point, as floats; ``shape`` is what the latter is put in."""
    values, zero = site.value(data), site.value(zero_point)
    if values is not None and (zero is not None or not site.has(zero_point)):
        less = 0 if zero is None else (zero.reshape(shape) if zero.ndim else zero).astype(exact)
        return site.constant(values.astype(exact) - less)
    floats = site.cast(site.node.input[data], exact)
    if not site.has(zero_point):
        return floats
    less_name = site.cast(site.node.input[zero_point], exact)
    if site.shape(zero_point) not in ((), None):
        less_name = site.reshape(less_name, shape)
    return site.emit("Sub", floats, less_name)


def _window(site: Site) -> dict[str, Any]:
    """Return the attributes that a convolution of integers shares with Conv."""
    names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    found = {name: site.attribute(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _requantize(site: Site, whole: str, scales: Sequence[str], zero_point: int) -> None:
    """Scale a sum of products to the output's own steps, round to even and saturate."""
    data, weight, result = scales
    scale = site.emit("Div", site.emit("Mul", data, weight), result)
    steps, one = site.emit("Mul", whole, scale), np.float32(1)
    site.emit("QuantizeLinear", steps, one, site.node.input[zero_point], to=site.node.output[0])


def _scale(site: Site, position: int, shape: Shape) -> str:
    name = site.node.input[position]
    return name if site.shape(position) == () else site.reshape(name, shape)


def dequantize(site: Site) -> bool:
    """DequantizeLinear of constants: a constant. By blocks: a product."""
    values, scale, zero = site.value(0), site.value(1), site.value(2)
    if values is not None and scale is not None and site.is_known(2):
        whole = values.astype(np.float64)  # it holds 32 bits, and 8 and 4 of a float
        if zero is not None:
            whole = whole - _spread(site, zero.astype(np.float64), values.shape)
        site.set_output(
            0, np.asarray(whole.astype(scale.dtype) * _spread(site, scale, whole.shape))
        )
        return True
    if not site.attribute("block_size", 0):
        return False
    exact = site.cast(site.node.input[0], site.dtype(1))
    if site.has(2):
        exact = site.emit("Sub", exact, site.cast(_by_element(site, 2), site.dtype(1)))
    site.emit("Mul", exact, _by_element(site, 1), to=site.node.output[0])
    return True


def quantize(site: Site) -> bool:
    """QuantizeLinear by blocks: divided, rounded to even and saturated."""
    if not site.attribute("block_size", 0):
        return False
    dtype, wide = site.output_dtype(0), site.dtype(0)
    steps = site.emit("Round", site.emit("Div", site.node.input[0], _by_element(site, 1)))
    if site.has(2):
        steps = site.emit("Add", steps, site.cast(_by_element(site, 2), wide))
    limits = (np.asarray(limit, wide) for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    site.cast(site.emit("Clip", steps, *limits), dtype, to=site.node.output[0])
    return True


def _spread(site: Site, parameter: Array, extents: Shape) -> Array:
    """Return a constant scale or zero point in a shape that broadcasts against the values."""
    blocks, axis = site.attribute("block_size", 0), _axis(site)
    if blocks:
        return np.repeat(parameter, blocks, axis).take(range(extents[axis]), axis)
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if place == axis else 1 for place in range(len(extents))])


def _by_element(site: Site, position: int) -> str:
    """Return a scale or zero point of blocks with one number for each element."""
    extents, known = site.shape(0), site.value(position)
    assert extents is not None
    if known is not None:
        return site.constant(_spread(site, known, extents))
    blocks, axis = site.attribute("block_size", 0), _axis(site)
    by_block = np.arange(extents[axis]) // blocks
    return site.emit("Gather", site.node.input[position], by_block, axis=axis)


def _axis(site: Site) -> int:
    extents = site.shape(0)
    assert extents is not None
    return int(site.attribute("axis", 1)) % max(len(extents), 1)


TABLE: Mapping[str, Rewrite] = {
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantize,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize,
}
