"""RoiAlign: samples between the elements of regions of an image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators import loops
from builder.compiler.operators.coordinates import between
from builder.compiler.operators.node import Node, dtype_of
from builder.compiler.tensors import te_shape

_HALF_PIXEL_SINCE = 16
_FAR = float(1 << 62)
"""More samples than ONNX Runtime has memory for; the mean over as many is 0."""

_START, _LENGTH, _SAMPLES, _FIRST = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regions:
    """How regions lie on an image; ``samples`` of 0 is one for each element that a cell covers."""

    scale: float
    half_pixel: bool
    samples: int
    cells: tuple[int, int]
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """The two axes of the cell at hand, rows and columns, in memory.

    ``sides`` [2, 4] holds where the cell starts, how long it is, how often it is sampled (a whole
    number as a float, for no integer may hold it), and the number of the first sample that can lie
    on the image; ``near`` [2] how many from there on can. The others hold 0. ``low`` [2] and
    ``weight`` [2] are the element before the sample at hand and the share of the one behind it.
    """

    regions: _Regions
    extents: Sequence[int]
    sides: Any
    near: Any
    place: Any
    low: Any
    weight: Any

    def measure(self, box: Any, axis: int, cell: Any) -> None:
        """Lay one axis of a cell on the image; ``box`` (i) are the corners of its region."""
        regions, side, dtype = self.regions, self.sides, self.regions.dtype
        shift = 0.5 if regions.half_pixel else 0.0
        start = box(1 - axis) * regions.scale - shift
        length = box(3 - axis) * regions.scale - shift - start
        if not regions.half_pixel:
            length = tirx.max(length, tirx.const(1, dtype))
        side[axis, _LENGTH] = length / regions.cells[axis]
        side[axis, _START] = start + cell * side[axis, _LENGTH]
        if regions.samples > 0:
            side[axis, _SAMPLES] = tirx.const(regions.samples, dtype)
            side[axis, _FIRST] = tirx.const(0, dtype)
            self.near[axis] = tirx.const(regions.samples, "int32")
        else:
            self._measure_samples(axis)

    def _measure_samples(self, axis: int) -> None:
        """Count samples: one a pixel or closer, and never two within half a pixel."""
        side, dtype = self.sides, self.regions.dtype
        zero = tirx.const(0, dtype)
        side[axis, _SAMPLES] = tirx.max(tirx.ceil(side[axis, _LENGTH]), zero)
        side[axis, _FIRST] = (-2 - side[axis, _START]) / side[axis, _LENGTH] * side[axis, _SAMPLES]
        side[axis, _FIRST] = tirx.floor(between(side[axis, _FIRST], 0, _FAR, dtype))
        left = side[axis, _SAMPLES] - side[axis, _FIRST]
        self.near[axis] = T.Cast("int32", between(left, 0, 2 * self.extents[axis] + 8, dtype))

    def has_all(self) -> Any:
        """Say whether no sample is left out."""
        return tirx.all(
            *(
                self.sides[axis, _SAMPLES] == T.Cast(self.regions.dtype, self.near[axis])
                for axis in (0, 1)
            )
        )

    def count(self) -> Any:
        return self.sides[0, _SAMPLES] * self.sides[1, _SAMPLES]

    def find(self, axis: int, step: Any) -> None:
        """Find sample ``step`` along an axis."""
        side, dtype, last = self.sides, self.regions.dtype, self.extents[axis] - 1
        along = (side[axis, _FIRST] + step + 0.5) * side[axis, _LENGTH] / side[axis, _SAMPLES]
        self.place[axis] = side[axis, _START] + along
        held = between(self.place[axis], 0, last, dtype)
        self.low[axis] = T.Cast("int32", tirx.floor(held))
        self.weight[axis] = held - T.Cast(dtype, self.low[axis])

    def parts(self, element: Any) -> list[Any]:
        """Return what the four elements around the sample give to it; all is 0 far outside."""
        zero = tirx.const(0, self.regions.dtype)
        inside = tirx.all(
            *(self.place[axis] >= -1 for axis in (0, 1)),
            *(self.place[axis] <= extent for axis, extent in enumerate(self.extents)),
        )
        return [
            tirx.Select(inside, element(row, column) * by_row * by_column, zero)
            for (row, by_row), (column, by_column) in itertools.product(
                self._neighbours(0), self._neighbours(1)
            )
        ]

    def _neighbours(self, axis: int) -> list[tuple[Any, Any]]:
        """Return the elements around a place with their weights; beyond the edge is the edge."""
        low, weight = self.low[axis], self.weight[axis]
        return [(low, 1 - weight), (tirx.min(low + 1, self.extents[axis] - 1), weight)]


def roi_align(node: Node) -> relax.Expr:
    """Convert RoiAlign: the mean of each cell's samples, or the largest of what they add up."""
    default = "half_pixel" if node.opset >= _HALF_PIXEL_SINCE else "output_half_pixel"
    dtype = dtype_of(node.required(0))
    cells = (int(node.attribute("output_height", 1)), int(node.attribute("output_width", 1)))
    regions = _Regions(
        scale=float(node.attribute("spatial_scale", 1.0)),
        half_pixel=node.attribute("coordinate_transformation_mode", default) == "half_pixel",
        samples=int(node.attribute("sampling_ratio", 0)),
        cells=cells,
        dtype=dtype,
    )
    largest = node.attribute("mode", "avg") == "max"

    def compute(image: te.Tensor, rois: te.Tensor, batches: te.Tensor) -> Any:
        shape = [te_shape(rois)[0], te_shape(image)[1], *cells]

        def body(source: Any, boxes: Any, numbers: Any, result: Any, *scratch: Any) -> None:
            names = ("sides", "near", "place", "low", "weight")
            extents = te_shape(image)[2:]
            sides = _Sides(
                regions=regions, extents=extents, **dict(zip(names, scratch, strict=True))
            )
            with T.grid(*shape) as at:
                roi, channel = at[:2]
                for axis in (0, 1):
                    sides.measure(lambda corner: boxes[roi, corner], axis, at[2 + axis])
                result[at] = tirx.const(0, dtype)
                with T.serial(0, sides.near[0]) as down, T.serial(0, sides.near[1]) as right:
                    sides.find(0, down)
                    sides.find(1, right)
                    parts = sides.parts(
                        lambda row, column: source[numbers[roi], channel, row, column]
                    )
                    if largest:
                        first = tirx.all(down == 0, right == 0, sides.has_all())
                        best = reduce(tirx.max, parts)
                        result[at] = tirx.Select(first, best, tirx.max(result[at], best))
                    else:
                        result[at] = result[at] + sum(parts[1:], parts[0]) / sides.count()

        scratch = [([2, 4], dtype), ([2], "int32"), ([2], dtype), ([2], "int32"), ([2], dtype)]
        return loops.kernel(
            body, [image, rois, batches], [(shape, dtype), *scratch], name="roi_align"
        )

    operands = (node.required(position) for position in range(3))
    aligned = node.builder.emit(node.call(compute, *operands, name="roi_align"))
    return relax.TupleGetItem(aligned, 0)
