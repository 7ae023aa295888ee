"""Mixed types, unusual types and special values."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from builder.compiler.prepare.rewriting import Rewrite, Site

_PRODUCTS = (2, 3)
"""Exponents that ONNX Runtime multiplies out, too: a call of pow costs fifty times as much."""


def power(site: Site) -> bool:
    """Pow by 2 or 3 as products; of mixed types, or of integers, in a type that holds both.

    Of integers ONNX Runtime multiplies out the same two, to the last digit, and takes float64 for
    the others.
    """
    base, exponent = site.dtype(0), site.dtype(1)
    factors = _factors(site)
    if factors:
        name, result = str(site.node.input[0]), str(site.node.output[0])
        product = name if factors == 2 else site.emit("Mul", name, name)
        site.emit("Mul", product, name, to=result)
        return True
    if base == exponent and base.kind == "f":
        return False
    wide = base if base.kind == "f" else np.dtype(np.float64)
    left, right = (site.cast(name, wide) for name in site.node.input)
    result = site.emit("Pow", left, right)
    site.cast(result, base, to=site.node.output[0])
    return True


def _factors(site: Site) -> int | None:
    """Return how often the base is multiplied; None where the exponent is no such number."""
    known = site.value(1)
    if known is None or known.size != 1 or known.ndim > site.rank(0):
        return None
    return next((number for number in _PRODUCTS if known.reshape(()) == number), None)


def is_infinite(site: Site) -> bool:
    """IsInf of one sign: a comparison."""
    negative, positive = site.attribute("detect_negative", 1), site.attribute("detect_positive", 1)
    extents = site.shape(0)
    if (negative and positive) or extents is None:
        return False
    if not negative and not positive:
        site.set_output(0, np.zeros(extents, np.bool_))
        return True
    infinity = np.asarray(np.inf if positive else -np.inf, site.dtype(0))
    site.emit("Equal", site.node.input[0], infinity, to=site.node.output[0])
    return True


def reduce_bits(site: Site) -> bool:
    """ReduceMax and ReduceMin of bool: those of 0 and 1."""
    if site.dtype(0) != np.bool_:
        return False
    data = site.cast(site.node.input[0], np.uint8)
    reduced = site.again([data, *site.node.input[1:]])
    site.cast(reduced, np.bool_, to=site.node.output[0])
    return True


def mean_of_integers(site: Site) -> bool:
    """ReduceMean of integers: their sum, divided towards zero."""
    if site.dtype(0).kind not in "iu":
        return False
    before, after = site.shape(0), site.output_shape(0)
    axes = site.attribute("axes") if site.value(1) is None else site.value(1)
    if before is None or after is None or 0 in before or not site.is_known(1):
        return False
    if axes is None or len(axes) == 0:
        if site.attribute("noop_with_empty_axes", 0):
            return False
        axes = range(len(before))
    total = site.reduce("Sum", site.node.input[0], [int(axis) for axis in axes])
    count = math.prod(before[axis] for axis in {int(axis) % len(before) for axis in axes})
    mean = site.emit("Div", total, np.asarray(count, site.dtype(0)))
    site.reshape(mean, after, to=site.node.output[0])
    return True


def reduce_in_float64(site: Site) -> bool:
    """ReduceL2, ReduceLogSum and ReduceLogSumExp of integers: in float64, without the fraction."""
    if site.dtype(0).kind not in "iu":
        return False
    reduced = site.again([site.cast(site.node.input[0], np.float64), *site.node.input[1:]])
    site.cast(reduced, site.dtype(0), to=site.node.output[0])
    return True


def narrow_in_two_steps(site: Site) -> bool:
    """Cast of float64 to 16 bits: by float32, as ONNX Runtime does. LLVM has no sure way on Arm."""
    half = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    if site.dtype(0) != np.float64 or site.attribute("to") not in half:
        return False
    single = site.cast(site.node.input[0], np.float32)
    site.again([single], to=site.node.output[0])
    return True


TABLE: Mapping[str, Rewrite] = {
    "Cast": narrow_in_two_steps,
    "IsInf": is_infinite,
    "Pow": power,
    "ReduceL2": reduce_in_float64,
    "ReduceLogSum": reduce_in_float64,
    "ReduceLogSumExp": reduce_in_float64,
    "ReduceMax": reduce_bits,
    "ReduceMean": mean_of_integers,
    "ReduceMin": reduce_bits,
}
