"""Resize as products with interpolation matrices, or as Gather, where no kernel knows the mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.rewriting import Array, Rewrite, Site

Vector = npt.NDArray[np.float64]

_HALFWAY = 1e-6
"""How near to the middle between two elements ONNX Runtime takes for the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """How one axis is resized: from so many elements to so many, by what scale, over what part."""

    before: int
    after: int
    scale: float
    start: float
    end: float

    @property
    def changes(self) -> bool:
        return self.before != self.after or self.scale != 1


def resize(site: Site) -> bool:
    """Replace a Resize of fixed sizes that TVM's own kernels do not cover."""
    axes = _axes(site)
    if axes is None:
        return False
    data = site.node.input[0]
    if all(axis.before == axis.after for axis in axes):  # ONNX Runtime copies, whatever the scales
        site.emit("Identity", data, to=site.node.output[0])
        return True
    if _is_stock(site, axes):
        return False
    mode = site.attribute("mode", "nearest")
    changing = [position for position, axis in enumerate(axes) if axis.changes]
    cropping = site.attribute("coordinate_transformation_mode") == "tf_crop_and_resize"
    if mode == "nearest":
        for position in changing:
            indices = _nearest(site, _coordinates(site, axes[position]), axes[position])
            data = site.emit("Gather", data, indices, axis=position)
    else:
        data = _interpolated(site, data, axes, changing)
    _finish(site, data, axes, cropping)
    return True


def _interpolated(site: Site, data: str, axes: Sequence[Axis], changing: Sequence[int]) -> str:
    """Return ``data`` interpolated along some axes; integers by way of floats.

    They are truncated, or rounded and saturated behind a filter, as ONNX Runtime does it.
    """
    dtype, mode = site.dtype(0), site.attribute("mode")
    fixed, plane = _is_fixed_point(site, axes), _plane(site, len(axes), changing)
    if dtype.kind != "f" and plane and not fixed:
        return site.cast(_between(site, data, axes, plane), dtype)
    wide = dtype if dtype.kind == "f" else np.dtype(np.float64)
    if wide != dtype:
        data = site.cast(data, wide)
    for position in changing:
        at = _coordinates(site, axes[position])
        if fixed:
            at = np.floor(np.clip(at, 0, axes[position].before - 1) * _ONE) / _ONE
        weights = _weights(site, at, axes[position], mode)
        data = _product(site, data, weights.astype(wide), position, len(axes))
    if wide == dtype:
        return data
    if site.attribute("antialias", 0):
        limits = (np.asarray(limit, wide) for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max))
        data = site.emit("Clip", site.emit("Round", data), *limits)
    return site.cast(data, dtype)


_ONE = 1 << 10
"""One in the fixed point of ONNX Runtime's places."""


def _is_fixed_point(site: Site, axes: Sequence[Axis]) -> bool:
    """Say whether ONNX Runtime counts in fixed point: bytes of images with channels last."""
    if site.dtype(0).itemsize != 1 or site.attribute("mode") != "linear" or len(axes) != 4:
        return False
    last = not axes[0].changes and axes[1].changes and not axes[3].changes
    return last and not site.attribute("antialias", 0)


def _plane(site: Site, rank: int, changing: Sequence[int]) -> tuple[int, int] | None:
    """Return the two axes between which ONNX Runtime adds four products an element, if it does."""
    if site.attribute("mode") != "linear" or site.attribute("antialias", 0) or rank not in (2, 4):
        return None
    planes = [(rank - 2, rank - 1), (1, 2)]  # channels first, channels last
    return next((plane for plane in planes if set(plane).issuperset(changing)), None)


def _between(site: Site, data: str, axes: Sequence[Axis], plane: tuple[int, int]) -> str:
    """Return the four products and their sum in float32: a truncated sum depends on each rounding.

    Products are made in float64, lest a compiler fuse them with the sums.
    """
    wide = site.cast(data, np.float64)
    (top, bottom, to_top, to_bottom), (left, right, to_left, to_right) = (
        _neighbours(site, axes[position]) for position in plane
    )
    corners = [
        (top, to_bottom, left, to_right),
        (top, to_bottom, right, to_left),
        (bottom, to_top, left, to_right),
        (bottom, to_top, right, to_left),
    ]
    behind = [1] * (len(axes) - 1 - plane[1])
    parts = []
    for rows, by_row, columns, by_column in corners:
        corner = site.emit("Gather", wide, rows, axis=plane[0])
        corner = site.emit("Gather", corner, columns, axis=plane[1])
        share = (by_column[None, :] * by_row[:, None]).reshape(len(by_row), -1, *behind)
        parts.append(site.cast(site.emit("Mul", corner, share.astype(np.float64)), np.float32))
    return reduce(lambda total, part: site.emit("Add", total, part), parts)


def _neighbours(site: Site, axis: Axis) -> tuple[Array, Array, Array, Array]:
    """Return the elements on both sides of each place, and how far it is from them."""
    last = axis.before - 1
    at = np.clip(_coordinates(site, axis), 0, last).astype(np.float32)
    first = at.astype(np.int64)
    second = np.minimum(first + 1, last)
    to_first, to_second = (
        np.where(first == second, np.float32(0.5), np.abs(at - one.astype(np.float32)))
        for one in (first, second)
    )
    return first, second, to_first, to_second


def _finish(site: Site, data: str, axes: Sequence[Axis], cropping: bool) -> None:
    """Name the result; outside of a crop stands the extrapolation value."""
    if not cropping:
        site.emit("Identity", data, to=site.node.output[0])
        return
    inside = np.ones((1,) * len(axes), np.bool_)
    for position, axis in enumerate(axes):
        at = _coordinates(site, axis)
        shape = [-1 if other == position else 1 for other in range(len(axes))]
        inside = inside & ((at >= 0) & (at <= axis.before - 1)).reshape(shape)
    value = np.asarray(site.attribute("extrapolation_value", 0.0), site.dtype(0))
    site.emit("Where", inside, data, value, to=site.node.output[0])


def _axes(site: Site) -> list[Axis] | None:
    """Return what happens to each axis, None where a shape or a parameter is not constant."""
    extents, result = site.shape(0), site.output_shape(0)
    if extents is None or result is None or not site.is_known(1, 2, 3):
        return None
    rank = len(extents)
    named = [axis % rank for axis in site.attribute("axes", range(rank))]
    scales, sizes, crop = site.value(2), site.value(3), site.value(1)
    factors = dict.fromkeys(range(rank), 1.0)
    if scales is not None and scales.size:
        factors |= dict(zip(named, map(float, scales), strict=True))
    elif sizes is not None:
        factors |= _factors(site, extents, dict(zip(named, map(int, sizes), strict=True)))
    starts, ends = dict.fromkeys(range(rank), 0.0), dict.fromkeys(range(rank), 1.0)
    if crop is not None and crop.size:
        starts |= dict(zip(named, map(float, crop[: len(named)]), strict=True))
        ends |= dict(zip(named, map(float, crop[len(named) :]), strict=True))
    return [
        Axis(before=extents[a], after=result[a], scale=factors[a], start=starts[a], end=ends[a])
        for a in range(rank)
    ]


def _factors(site: Site, extents: Sequence[int], sizes: Mapping[int, int]) -> dict[int, float]:
    ratios = {axis: size / extents[axis] for axis, size in sizes.items()}
    policy = site.attribute("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return ratios
    chosen = (min if policy == "not_larger" else max)(ratios.values())
    return dict.fromkeys(ratios, chosen)


def _is_stock(site: Site, axes: Sequence[Axis]) -> bool:
    """Say whether TVM's resize2d computes the same."""
    unusual = ("antialias", "exclude_outside", "axes", "keep_aspect_ratio_policy")
    if any(site.attribute(name) for name in unusual) or len(axes) != 4:
        return False
    if site.dtype(0).kind != "f" and site.attribute("mode", "nearest") != "nearest":
        return False
    if site.attribute("coordinate_transformation_mode", "half_pixel") in (
        "half_pixel_symmetric",
        "tf_crop_and_resize",
    ):
        return False
    if axes[0].changes or axes[1].changes:
        return False
    # Places halfway between two elements fall as the CPU rounds, when they are computed there.
    if site.attribute("mode", "nearest") == "nearest" and any(axis.scale % 1 for axis in axes):
        return False
    return all(math.isclose(axis.before * axis.scale, axis.after) for axis in axes)


def _coordinates(site: Site, axis: Axis) -> Vector:
    """Return where in the input each element of the output lies.

    In float32, as ONNX Runtime has it: where the nearest element changes, rounding decides. An
    axis of scale 1 stays whole, also in a crop.
    """
    if not axis.changes:
        return np.arange(axis.after, dtype=np.float64)
    f = np.float32
    at, scale, last = np.arange(axis.after, dtype=f), f(axis.scale), f(axis.before - 1)
    match site.attribute("coordinate_transformation_mode", "half_pixel"):
        case "asymmetric":
            found = at / scale
        case "align_corners":
            found = at * last / f(axis.after - 1) if axis.after > 1 else at * 0
        case "pytorch_half_pixel" if axis.after == 1:
            found = at * 0
        case "tf_half_pixel_for_nn":
            found = (at + f(0.5)) / scale
        case "half_pixel_symmetric":
            adjustment = f(axis.after) / (scale * f(axis.before))
            offset = f(axis.before) / f(2) * (f(1) - adjustment)
            found = offset + (at + f(0.5)) / scale - f(0.5)
        case "tf_crop_and_resize" if axis.after > 1:
            width = f(axis.end) - f(axis.start)
            found = f(axis.start) * last + at * width * last / f(axis.after - 1)
        case "tf_crop_and_resize":
            found = at + f(0.5) * (f(axis.start) + f(axis.end)) * last
        case _:
            found = (at + f(0.5)) / scale - f(0.5)
    return found.astype(np.float64)


def _nearest(site: Site, at: Vector, axis: Axis) -> npt.NDArray[np.int64]:
    rounding: dict[str, Callable[[Vector], Vector]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda x: np.ceil(x - 0.5 - _HALFWAY),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5 + _HALFWAY),
    }
    rounded = rounding[site.attribute("nearest_mode", "round_prefer_floor")](at)
    return np.clip(rounded, 0, axis.before - 1).astype(np.int64)


def _weights(site: Site, at: Vector, axis: Axis, mode: str) -> Vector:
    """Return the matrix [after, before] that interpolates along one axis."""
    narrow = axis.scale if site.attribute("antialias", 0) and axis.scale < 1 else 1.0
    reach = (1 if mode == "linear" else 2) / narrow
    coefficient = site.attribute("cubic_coeff_a", -0.75)
    first = np.floor(at - reach).astype(np.int64)
    taps = first[:, None] + np.arange(math.ceil(2 * reach) + 2)
    distance = np.abs(taps - at[:, None]) * narrow
    weights = _hat(distance) if mode == "linear" else _cubic(distance, coefficient)
    outside = (taps < 0) | (taps >= axis.before)
    if site.attribute("exclude_outside", 0):
        weights = np.where(outside, 0, weights)
    weights = weights / weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((axis.after, axis.before))
    rows = np.broadcast_to(np.arange(axis.after)[:, None], taps.shape)
    np.add.at(matrix, (rows, np.clip(taps, 0, axis.before - 1)), weights)
    return matrix


def _hat(distance: Vector) -> Vector:
    return np.maximum(1 - distance, 0)


def _cubic(distance: Vector, a: float) -> Vector:
    """Return the convolution kernel of Keys (1981)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def _product(
    site: Site, data: str, matrix: npt.NDArray[np.floating], position: int, rank: int
) -> str:
    """Multiply along one axis of ``data``; the last two need no transposition."""
    if position == rank - 1:
        return site.emit("MatMul", data, np.ascontiguousarray(matrix.T))
    if position == rank - 2:
        return site.emit("MatMul", matrix, data)
    order = [axis for axis in range(rank) if axis != position] + [position]
    back = [order.index(axis) for axis in range(rank)]
    turned = site.emit("Transpose", data, perm=order)
    product = site.emit("MatMul", turned, np.ascontiguousarray(matrix.T))
    return site.emit("Transpose", product, perm=back)


TABLE: Mapping[str, Rewrite] = {"Resize": resize}
