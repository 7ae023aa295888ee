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

_EXACT_IN_FLOAT32 = 2**24


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
    return np.dtype(np.float32 if largest < _EXACT_IN_FLOAT32 else np.float64)


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
    """DequantizeLinear of constants: a constant."""
    values, scale, zero = site.value(0), site.value(1), site.value(2)
    if values is None or scale is None or (site.has(2) and zero is None):
        return False
    if site.attribute("block_size", 0):
        return False
    shape = [1] * values.ndim
    if scale.ndim == 1 and scale.size > 1:
        shape[site.attribute("axis", 1) % values.ndim] = -1
    whole = values.astype(np.int64)
    if zero is not None:
        whole = whole - zero.astype(np.int64).reshape(shape if zero.size > 1 else ())
    factor = scale.reshape(shape if scale.size > 1 else ())
    site.set_output(0, np.asarray(whole.astype(scale.dtype) * factor))
    return True


TABLE: Mapping[str, Rewrite] = {
    "ConvInteger": conv_integer,
    "DequantizeLinear": dequantize,
    "MatMulInteger": matmul_integer,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
}
