"""Normalisations as means, or as one over the last axis, which has a kernel of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from builder.compiler.prepare.rewriting import Rewrite, Site


def layer_normalization(site: Site) -> bool:
    """LayerNormalization over several axes, or with its statistics as outputs."""
    extents = site.shape(0)
    if extents is None:
        return False
    axis = site.attribute("axis", -1) % len(extents)
    statistics = site.wants(1) or site.wants(2)
    if axis == len(extents) - 1 and not statistics:
        return False
    flat = [math.prod(extents[:axis]), math.prod(extents[axis:])]
    data = site.reshape(site.node.input[0], flat)
    scale, shift = (_flattened(site, position, extents[axis:]) for position in (1, 2))
    epsilon = site.attribute("epsilon", 1e-5)
    normal = site.emit("LayerNormalization", data, scale, shift, axis=-1, epsilon=epsilon)
    site.reshape(normal, extents, to=site.node.output[0])
    if statistics:
        _statistics(site, range(axis, len(extents)), epsilon)
    return True


def _flattened(site: Site, position: int, extents: Sequence[int]) -> str:
    """Return scale or shift as one axis; a shift that is not there is 0."""
    if not site.has(position):
        return site.constant(np.zeros(math.prod(extents), site.dtype(0)))
    whole = site.node.input[position]
    if site.shape(position) != tuple(extents):
        whole = site.emit("Expand", whole, np.asarray(extents, np.int64))
    return site.reshape(whole, [math.prod(extents)])


def _statistics(site: Site, axes: Sequence[int], epsilon: float) -> None:
    data = site.node.input[0]
    mean = site.reduce("Mean", data, axes)
    centred = site.emit("Sub", data, mean)
    variance = site.reduce("Mean", site.emit("Mul", centred, centred), axes)
    deviation = _deviation(site, variance, epsilon)
    if site.wants(1):
        site.emit("Identity", mean, to=site.node.output[1])
    if site.wants(2):
        site.emit("Reciprocal", deviation, to=site.node.output[2])


def _deviation(site: Site, variance: str, epsilon: float) -> str:
    """Return the square root of ``variance`` plus ``epsilon``."""
    slack = np.asarray(epsilon, site.dtype(0))
    return site.emit("Sqrt", site.emit("Add", variance, slack))


def rms_normalization(site: Site) -> bool:
    """RMSNormalization: over the root of the mean square."""
    extents = site.shape(0)
    if extents is None:
        return False
    axes = range(site.attribute("axis", -1) % len(extents), len(extents))
    epsilon = site.attribute("epsilon", 1e-5)
    over_root_of_mean_square(site, site.node.input[0], site.node.input[1], axes, epsilon)
    return True


def over_root_of_mean_square(
    site: Site, data: str, scale: str, axes: Sequence[int], epsilon: float
) -> None:
    """Make the node's output of ``data`` over the root of its mean square, times ``scale``."""
    square = site.reduce("Mean", site.emit("Mul", data, data), axes)
    normal = site.emit("Div", data, _deviation(site, square, epsilon))
    site.emit("Mul", normal, scale, to=site.node.output[0])


def lp_normalization(site: Site) -> bool:
    """LpNormalization: over the sum of absolutes or the root of squares; 0 where that is 0."""
    data, axis = site.node.input[0], site.attribute("axis", -1)
    norm = site.reduce("L1" if site.attribute("p", 2) == 1 else "L2", data, [axis])
    empty = site.emit("Equal", norm, np.asarray(0, site.dtype(0)))
    divisor = site.emit("Where", empty, np.asarray(1, site.dtype(0)), norm)
    site.emit("Div", data, divisor, to=site.node.output[0])
    return True


def batch_statistics(site: Site) -> bool:
    """BatchNormalization in training: by the batch's own statistics, and running ones updated."""
    extents = site.shape(0)
    if not site.attribute("training_mode", 0) or extents is None:
        return False
    data, scale, shift, running_mean, running_variance = site.node.input
    axes = [axis for axis in range(len(extents)) if axis != 1]
    channels = [-1, *[1] * (len(extents) - 2)]
    mean = site.reduce("Mean", data, axes)
    centred = site.emit("Sub", data, mean)
    variance = site.reduce("Mean", site.emit("Mul", centred, centred), axes)
    normal = site.emit("Div", centred, _deviation(site, variance, site.attribute("epsilon", 1e-5)))
    scaled = site.emit("Mul", normal, site.reshape(scale, channels))
    site.emit("Add", scaled, site.reshape(shift, channels), to=site.node.output[0])
    for position, (running, current) in enumerate(
        ((running_mean, mean), (running_variance, variance)), start=1
    ):
        if site.wants(position):
            _blend(site, running, current, site.node.output[position])
    return True


def _blend(site: Site, running: str, current: str, to: str) -> None:
    momentum = site.attribute("momentum", 0.9)
    kept = site.emit("Mul", running, np.asarray(momentum, site.dtype(3)))
    flat = site.cast(site.reshape(current, [-1]), site.dtype(3))
    added = site.emit("Mul", flat, np.asarray(1 - momentum, site.dtype(3)))
    site.emit("Add", kept, added, to=to)


TABLE: Mapping[str, Rewrite] = {
    "BatchNormalization": batch_statistics,
    "LayerNormalization": layer_normalization,
    "LpNormalization": lp_normalization,
    "RMSNormalization": rms_normalization,
}
