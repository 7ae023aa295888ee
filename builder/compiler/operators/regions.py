"""RoiAlign: samples between the elements of regions of an image."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import reduce
from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators import loops
from builder.compiler.operators.node import Node, dtype_of, te_shape

_HALF_PIXEL_SINCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One axis of a cell of a region: where it starts, how long it is, how often it is sampled."""

    start: Any
    length: Any
    samples: Any

    def place(self, step: Any) -> Any:
        return self.start + (step + 0.5) * self.length / self.samples


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regions:
    """How regions lie on an image; ``samples`` of 0 is one for each element that a cell covers."""

    scale: float
    half_pixel: bool
    samples: int
    cells: tuple[int, int]
    dtype: str

    def side(self, rois: Any, roi: Any, axis: int, cell: Any) -> _Side:
        """Return the side of a cell along the rows (axis 0) or the columns (1)."""
        shift = 0.5 if self.half_pixel else 0.0
        start = rois[roi, 1 - axis] * self.scale - shift
        length = rois[roi, 3 - axis] * self.scale - shift - start
        if not self.half_pixel:
            length = tirx.max(length, tirx.const(1, self.dtype))
        length = length / self.cells[axis]
        covered = tirx.max(T.Cast("int32", tirx.ceil(length)), 0)
        return _Side(
            start=start + cell * length,
            length=length,
            samples=tirx.const(self.samples, "int32") if self.samples > 0 else covered,
        )


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

        def body(source: Any, boxes: Any, numbers: Any, result: Any) -> None:
            with T.grid(*shape) as at:
                roi, channel = at[:2]
                sides = [regions.side(boxes, roi, axis, at[2 + axis]) for axis in (0, 1)]
                count = sides[0].samples * sides[1].samples
                result[at] = tirx.const(0, dtype)
                with T.serial(0, sides[0].samples) as down, T.serial(0, sides[1].samples) as right:
                    places = (sides[0].place(down), sides[1].place(right))
                    parts = _parts(source, (numbers[roi], channel), places, te_shape(image)[2:])
                    if largest:
                        first = tirx.all(down == 0, right == 0)
                        best = reduce(tirx.max, parts)
                        result[at] = tirx.Select(first, best, tirx.max(result[at], best))
                    else:
                        result[at] = result[at] + sum(parts[1:], parts[0]) / count

        return loops.kernel(body, [image, rois, batches], [(shape, dtype)], name="roi_align")

    return node.call(compute, *(node.required(position) for position in range(3)), name="roi_align")


def _parts(source: Any, plane: tuple[Any, Any], places: tuple[Any, Any], extents: Any) -> list[Any]:
    """Return what the four elements around a place give to it; all is 0 far outside."""
    zero = tirx.const(0, source.dtype)
    near = [_neighbours(place, extent, zero) for place, extent in zip(places, extents, strict=True)]
    inside = tirx.all(
        *(place >= -1 for place in places),
        *(place <= extent for place, extent in zip(places, extents, strict=True)),
    )
    return [
        tirx.Select(inside, source[(*plane, row, column)] * by_row * by_column, zero)
        for (row, by_row), (column, by_column) in itertools.product(*near)
    ]


def _neighbours(place: Any, extent: int, zero: Any) -> list[tuple[Any, Any]]:
    """Return the elements around a place with their weights; beyond the edge is the edge."""
    place = tirx.max(place, zero)
    low = tirx.min(T.Cast("int32", tirx.floor(place)), extent - 1)
    weight = tirx.Select(low == extent - 1, zero, place - low)
    return [(low, 1 - weight), (tirx.min(low + 1, extent - 1), weight)]
