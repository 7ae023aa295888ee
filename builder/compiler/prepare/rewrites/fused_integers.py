"""ONNX Runtime's own operators on quantised values, rounded where it rounds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.rewriting import Operand, Rewrite, Site

_BEYOND = np.float32(2**20)
"""More steps than any of 8 bits."""

_EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))


def through_floats(operator: str, *kept: str) -> Rewrite:
    """Return the rewrite of an operator that is another one between DequantizeLinear and its like.

    ``kept`` are the attributes that both have.
    """

    def taken(site: Site) -> bool:
        if site.attribute("channels_last", 0):
            return False
        given = {name: site.attribute(name) for name in kept}
        settings = {name: value for name, value in given.items() if value is not None}
        result = site.emit(operator, _dequantised(site, 0), **settings)
        site.emit("QuantizeLinear", result, *_parameters(site, 3), to=site.node.output[0])
        return True

    return taken


def concatenation(site: Site) -> bool:
    """QLinearConcat: of floats; the result's scale comes first."""
    parts = [_dequantised(site, first) for first in range(2, len(site.node.input), 3)]
    whole = site.emit("Concat", *parts, axis=site.attribute("axis"))
    site.emit("QuantizeLinear", whole, *_parameters(site, 0), to=site.node.output[0])
    return True


def addition(site: Site) -> bool:
    """QLinearAdd: each side in steps of the result, added up in ONNX Runtime's order.

    Ties are rounded to even, so the order counts: what the zero points come to, then the right
    side, then the left one. On CPUs that multiply and add at once, each side is rounded once.
    """
    left, right = (_as_float(site, position) for position in (0, 3))
    ratios = [_ratio(site, position) for position in (1, 4)]
    start = _zero_points(site, ratios)
    steps = site.emit("Add", site.emit("Mul", right, ratios[1]), start)
    _saturate(site, site.emit("Add", site.emit("Mul", left, ratios[0]), steps))
    return True


def _ratio(site: Site, position: int) -> Operand:
    """Return a scale in steps of the result's."""
    scale, result = site.value(position), site.value(6)
    if scale is None or result is None:
        return site.emit("Div", site.node.input[position], site.node.input[6])
    return np.asarray(scale.astype(np.float32) / result.astype(np.float32))


def _zero_points(site: Site, ratios: Sequence[Operand]) -> Operand:
    """Return what the zero points add to each element of a QLinearAdd."""
    left, right, result = (_zero_point(site, position) for position in (2, 5, 7))
    first, second = ratios
    known = [one for one in (left, right, result, first, second) if not isinstance(one, str)]
    if len(known) < 5:
        sides = [site.emit("Mul", r, z) for r, z in ((first, left), (second, right))]
        return site.emit("Sub", result, site.emit("Add", *sides))
    of_left, of_right, of_result, a, b = (np.asarray(one, np.float64) for one in known)
    total = np.float32(a * of_left + np.float32(b * of_right))  # as a multiply-add rounds
    return np.asarray(np.float32(of_result) - total, np.float32)


def _zero_point(site: Site, position: int) -> Operand:
    if not site.has(position):
        return np.float32(0)
    known = site.value(position)
    if known is not None:
        return np.asarray(known, np.float32)
    return _as_float(site, position)


def _as_float(site: Site, position: int) -> str:
    return site.cast(site.node.input[position], np.float32)


def product(site: Site) -> bool:
    """QLinearMul: of whole numbers; the zero point is added before rounding.

    The scaled product is rounded by itself: bounds that it never meets keep a CPU from multiplying
    and adding at once.
    """
    whole = site.emit("Mul", _whole(site, 0), _whole(site, 3))
    scales = site.emit("Mul", site.node.input[1], site.node.input[4])
    steps = site.emit("Mul", whole, _quotient(site, scales, 6))
    _round(site, site.emit("Clip", steps, -_BEYOND, _BEYOND), 7)
    return True


def average(site: Site) -> bool:
    """QLinearAveragePool: of floats; the zero point is added before rounding."""
    if site.attribute("channels_last", 0):
        return False
    given = {name: site.attribute(name) for name in _POOL}
    settings = {name: value for name, value in given.items() if value is not None}
    pooled = site.emit("AveragePool", _dequantised(site, 0), **settings)
    _round(site, _quotient(site, pooled, 3), 4)
    return True


def _quotient(site: Site, value: str, scale: int) -> str:
    """Return ``value`` by a scale, to the last digit: in float32 it might become a product."""
    divisor = site.cast(site.node.input[scale], np.float64)
    return site.cast(site.emit("Div", site.cast(value, np.float64), divisor), np.float32)


def global_average(site: Site) -> bool:
    """QLinearGlobalAveragePool: a sum of whole numbers, scaled and rounded."""
    extents = site.shape(0)
    if extents is None:
        return False
    last = site.attribute("channels_last", 0)
    axes = range(1, len(extents) - 1) if last else range(2, len(extents))
    count = np.float32(np.prod([extents[axis] for axis in axes]))
    total = site.reduce("Sum", _whole(site, 0), list(axes))
    step = site.emit("Mul", site.node.input[3], count)
    steps = site.emit("Mul", total, site.emit("Div", site.node.input[1], step))
    site.emit("QuantizeLinear", steps, np.float32(1), *site.node.input[4:5], to=site.node.output[0])
    return True


def gemm(site: Site) -> bool:
    """QGemm: a product of whole numbers and a sum, scaled, and rounded where a scale is given."""
    left, right = (
        site.emit("Transpose", site.node.input[position], perm=[1, 0])
        if site.attribute(name, 0)
        else site.node.input[position]
        for position, name in ((0, "transA"), (3, "transB"))
    )
    total = site.emit("MatMulInteger", left, right, site.node.input[2], site.node.input[5])
    if site.has(6):
        total = site.emit("Add", total, site.node.input[6])
    whole = site.cast(total, np.float32)
    scales = site.emit("Mul", site.node.input[1], site.node.input[4])
    scale = site.emit("Mul", scales, np.float32(site.attribute("alpha", 1.0)))
    if not site.has(7):
        site.emit("Mul", whole, scale, to=site.node.output[0])
        return True
    steps = site.emit("Mul", whole, site.emit("Div", scale, site.node.input[7]))
    site.emit("QuantizeLinear", steps, np.float32(1), *site.node.input[8:9], to=site.node.output[0])
    return True


def dynamic_matmul(site: Site) -> bool:
    """DynamicQuantizeMatMul: the left side is quantised by its own range."""
    made = site.emit_many("DynamicQuantizeLinear", site.node.input[0], to=[None] * 3)
    values, scale, zero = made
    zeros = [zero, *site.node.input[3:4]]
    return _scaled_product(site, (values, site.node.input[1]), (scale, site.node.input[2]), zeros)


def matmul_to_float(site: Site) -> bool:
    """MatMulIntegerToFloat: MatMulInteger, scaled."""
    zeros = list(site.node.input[4:6])
    return _scaled_product(site, site.node.input[:2], site.node.input[2:4], zeros)


def _scaled_product(site: Site, operands: Any, scales: Any, zeros: list[str]) -> bool:
    """Make the node's output: a product of whole numbers, scaled; a bias comes last."""
    bias = 4 if site.node.op_type == "DynamicQuantizeMatMul" else 6
    whole = site.cast(site.emit("MatMulInteger", *operands, *zeros), np.float32)
    scale = site.emit("Mul", *scales)
    if not site.has(bias):
        site.emit("Mul", whole, scale, to=site.node.output[0])
        return True
    scaled = site.emit("Mul", whole, scale)
    site.emit("Add", scaled, site.node.input[bias], to=site.node.output[0])
    return True


def matmul_by_bits(site: Site) -> bool:
    """MatMulNBits: MatMul of constant weights that were packed in blocks of a few bits."""
    if not site.is_known(1, 2, 3) or site.has(4):
        return False
    operands = (site.node.input[0], _weights_of_bits(site).astype(site.dtype(0)))
    if site.has(5):
        site.emit("Add", site.emit("MatMul", *operands), site.node.input[5], to=site.node.output[0])
    else:
        site.emit("MatMul", *operands, to=site.node.output[0])
    return True


def _weights_of_bits(site: Site) -> npt.NDArray[Any]:
    """Return the weights [K, N] of a MatMulNBits, which lie column by column, in blocks."""
    columns, rows, bits = (site.attribute(name) for name in ("N", "K", "bits"))
    packed, scales, zeros = site.value(1), site.value(2), site.value(3)
    assert packed is not None and scales is not None
    block = bits * site.attribute("block_size") // 8
    steps = _unpacked(packed.reshape(columns, -1, block), bits).astype(np.float32)
    if zeros is None:
        middle: npt.NDArray[Any] = np.full(steps.shape[:2], 1 << bits - 1)
    elif zeros.dtype == np.uint8:
        middle = _unpacked(zeros.reshape(columns, -1), bits)[:, : steps.shape[1]]
    else:
        middle = zeros.reshape(steps.shape[:2])
    whole = (steps - middle[..., None].astype(np.float32)) * scales.reshape(*steps.shape[:2], 1)
    return np.asarray(whole.reshape(columns, -1)[:, :rows].T)


def _unpacked(packed: npt.NDArray[Any], bits: int) -> npt.NDArray[Any]:
    """Return numbers of a few bits, the lowest ones first, along the last axis."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (packed[..., None] >> shifts) & ((1 << bits) - 1)
    return parts.reshape(*packed.shape[:-1], -1)


def standard(site: Site) -> bool:
    """QuantizeLinear and DequantizeLinear of 8 bits: ONNX's own."""
    quantises = site.node.op_type == "QuantizeLinear"
    narrow = site.dtype(2 if quantises else 0) if site.has(2) else np.dtype(np.uint8)
    if narrow not in _EIGHT_BITS:
        return False
    axis = site.attribute("axis", 1)
    site.emit(site.node.op_type, *site.node.input, to=site.node.output[0], axis=axis)
    return True


def _dequantised(site: Site, first: int) -> str:
    """Return a value, its scale and its zero point, which follow one another, as floats."""
    return site.emit("DequantizeLinear", site.node.input[first], *_parameters(site, first + 1))


def _parameters(site: Site, first: int) -> list[str]:
    """Return a scale and, if there is one, a zero point; a list of one is that one."""
    return [
        site.reshape(name, []) if site.rank(position) else name
        for position, name in enumerate(site.node.input[first : first + 2], first)
        if name
    ]


def _whole(site: Site, first: int) -> str:
    """Return a value less its zero point, as floats."""
    floats = site.cast(site.node.input[first], np.float32)
    if not site.has(first + 2):
        return floats
    return site.emit("Sub", floats, site.cast(site.node.input[first + 2], np.float32))


def _round(site: Site, steps: str, zero_point: int) -> None:
    """Make the node's output of steps: the zero point added, rounded to even, saturated."""
    if site.has(zero_point):
        steps = site.emit("Add", steps, _as_float(site, zero_point))
    _saturate(site, steps)


def _saturate(site: Site, steps: str) -> None:
    """Make the node's output of steps: rounded to even, within the type."""
    dtype = site.dtype(0)
    limits: list[Operand] = [np.float32(np.iinfo(dtype).min), np.float32(np.iinfo(dtype).max)]
    bounded = site.emit("Clip", site.emit("Round", steps), *limits)
    site.cast(bounded, dtype, to=site.node.output[0])


_POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")

TABLE: Mapping[str, Callable[[Site], bool]] = {
    "DequantizeLinear": standard,
    "DynamicQuantizeMatMul": dynamic_matmul,
    "MatMulIntegerToFloat": matmul_to_float,
    "MatMulNBits": matmul_by_bits,
    "QGemm": gemm,
    "QLinearAdd": addition,
    "QLinearAveragePool": average,
    "QLinearConcat": concatenation,
    "QLinearGlobalAveragePool": global_average,
    "QLinearLeakyRelu": through_floats("LeakyRelu", "alpha"),
    "QLinearMul": product,
    "QLinearSigmoid": through_floats("Sigmoid"),
    "QLinearSoftmax": through_floats("Softmax", "axis"),
    "QuantizeLinear": standard,
}
