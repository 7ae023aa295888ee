"""Winograd convolution F(m x m, 3x3): a product of matrices for each point of a transformed tile.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. F(4x4) needs 36 points
for 16 outputs where a direct sum takes 144 products, F(2x2) 16 for 4 (36), with smaller weights.
The error of F(4x4) in float32 is about ten times the direct sum's.

The image is cut into bands of tiles that stay in a core's cache from the input's transform, over
the products, to the output's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import te, tirx

from builder.compiler.kernels import tiles
from builder.compiler.kernels.conv import Compute, round_up
from builder.compiler.kernels.window import Window

ANCHOR_IN = "winograd_points"
ANCHOR = "winograd_sum"
PAD = "winograd_pad"
HALF_IN = "winograd_half_in"
HALF_OUT = "winograd_half_out"
TILE_OUT = "winograd_tile_out"

Matrix = Sequence[Sequence[float]]

_BAND_TILES = 64
"""Tiles of a band at most: with more, nothing is saved on weights."""

_BAND_BYTES = 320 * 1024
"""Of a band's transformed input: with a panel of products and weights it fits a second level."""

_LEAST_TILES = 12
"""Of a band: fewer would not pay for reading the weights."""

_WEIGHTS_AS_TILES = 2.0
"""What reading the weights once costs, in tiles to be multiplied by them."""


@dataclass(frozen=True, slots=True)
class Transform:
    """The matrices of F(m x m, 3x3): data [m+2, m+2], weights [m+2, 3], output [m, m+2]."""

    data: Matrix
    weights: Matrix
    output: Matrix

    @property
    def tile(self) -> int:
        """Return how many rows and columns of the output a tile has."""
        return len(self.output)

    @property
    def points(self) -> int:
        return len(self.data)


F2 = Transform(
    data=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1)),
    weights=((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    output=((1, 1, 1, 0), (0, 1, -1, 1)),
)
"""The points 0, 1, -1 and infinity."""

F4 = Transform(
    data=(
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
    weights=(
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
    output=(
        (1, 1, 1, 1, 1, 0),
        (0, 1, -1, 2, -2, 0),
        (0, 1, 1, 4, 4, 0),
        (0, 1, -1, 8, -8, 1),
    ),
)
"""The points 0, 1, -1, 2, -2 and infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """An output of ``height`` by ``width`` in bands of ``rows`` by ``columns`` tiles."""

    transform: Transform
    height: int
    width: int
    rows: int
    columns: int

    @property
    def tall(self) -> int:
        """Return how many rows of the output a band covers."""
        return self.rows * self.transform.tile

    @property
    def wide(self) -> int:
        """Return how many columns of the output a band covers."""
        return self.columns * self.transform.tile

    @property
    def across(self) -> int:
        """Return how many bands lie side by side."""
        return -(-self.width // self.wide)

    @property
    def count(self) -> int:
        return -(-self.height // self.tall) * self.across

    @property
    def tiles(self) -> int:
        """Return the tiles of a band, filled up so that whole register tiles cover them."""
        real = self.rows * self.columns
        return real if real < 4 or tiles.whole_row_tile(real, 8) else round_up(real, 4)


def bands(transform: Transform, height: int, width: int, channels: int) -> Bands:
    """Return the bands of an output whose input has so many channels: a single one where small."""
    down, across = -(-height // transform.tile), -(-width // transform.tile)

    def of(rows: int, columns: int) -> Bands:
        return Bands(transform=transform, height=height, width=width, rows=rows, columns=columns)

    def cost(each: Bands) -> float:
        """Count tiles, with what a band's weights and the border of its input come to."""
        border = (each.tall + 2) * (each.wide + 2) / (transform.points**2 * 4.0)
        return each.count * (each.tiles + _WEIGHTS_AS_TILES + border)

    if down * across <= _BAND_TILES:
        return of(down, across)
    most = _BAND_BYTES // (4 * transform.points**2 * channels)
    most = min(max(most, _LEAST_TILES), _BAND_TILES)
    sizes = [(r, c) for r in range(1, down + 1) for c in range(1, across + 1) if r * c <= most]
    return min((of(*size) for size in sizes), key=cost)


def transform_weights(
    transform: Transform, weights: npt.NDArray[Any], width: int
) -> npt.NDArray[Any]:
    """Transform OIHW weights (in float64) and pack them [O/width, points, I, width]."""
    out, channels, _, _ = weights.shape
    matrix = np.array(transform.weights)
    made = np.einsum("ai,ocij,bj->aboc", matrix, weights.astype(np.float64), matrix)
    flat = made.reshape(transform.points**2, out // width, width, channels)
    return np.ascontiguousarray(flat.transpose(1, 0, 3, 2).astype(weights.dtype))


def compute_in(each: Bands, window: Window) -> Compute:
    """Return the TE that transforms a blocked input: [bands, C/c, points, points, tiles, c]."""
    size, points = each.transform.tile, each.transform.points
    top, left, _, _ = window.padding
    rows, columns = each.tall + 2, each.wide + 2

    def of(data: te.Tensor) -> te.Tensor:
        _, blocks, tall, wide, lanes = (int(extent) for extent in data.shape)

        def padded(b: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
            row = b // each.across * each.tall + y - top
            column = b % each.across * each.wide + x - left
            inside = tirx.all(row >= 0, row < tall, column >= 0, column < wide)
            zero = tirx.const(0.0, data.dtype)
            return tirx.if_then_else(inside, data[0, c, row, column, v], zero)

        band = te.compute((each.count, blocks, rows, columns, lanes), padded, name=PAD)

        def element(b: Any, c: Any, i: Any, j: Any, t: Any, v: Any) -> Any:
            last = each.rows * each.columns - 1
            tile = t if each.tiles == last + 1 else tirx.min(t, last)
            y, x = tile // each.columns * size, tile % each.columns * size
            return _row_of(each.transform.data, i, lambda k: band[b, c, y + k, x + j, v])

        half = te.compute(
            (each.count, blocks, points, points, each.tiles, lanes), element, name=HALF_IN
        )
        return te.compute(
            half.shape,
            lambda b, c, i, j, t, v: _row_of(
                each.transform.data, j, lambda k: half[b, c, i, k, t, v]
            ),
            name=ANCHOR_IN,
        )

    return of


def compute_out(each: Bands) -> Compute:
    """Return the TE that multiplies transformed inputs by weights and transforms them back.

    [bands, C/c, points, points, tiles, c] by [O/w, points, C, w] is [1, O/c, height, width, c].
    """
    size, points = each.transform.tile, each.transform.points

    def of(data: te.Tensor, weights: te.Tensor) -> te.Tensor:
        _, blocks, _, _, _, lanes = (int(extent) for extent in data.shape)
        panels, _, _, width = (int(extent) for extent in weights.shape)
        together = width // lanes
        c, ci = te.reduce_axis((0, blocks), name="c"), te.reduce_axis((0, lanes), name="ci")

        def element(b: Any, o: Any, i: Any, j: Any, t: Any, v: Any) -> Any:
            lane = o % together * lanes + v
            weight = weights[o // together, i * points + j, c * lanes + ci, lane]
            return te.sum(data[b, c, i, j, t, ci] * weight, axis=[c, ci])

        out = panels * together
        product = te.compute((each.count, out, points, points, each.tiles, lanes), element, ANCHOR)
        matrix = each.transform.output
        half = te.compute(
            (each.count, out, each.tiles, size, points, lanes),
            lambda b, o, t, i, j, v: _row_of(matrix, i, lambda k: product[b, o, k, j, t, v]),
            name=HALF_OUT,
        )
        tile = te.compute(
            (each.count, out, each.tiles, size, size, lanes),
            lambda b, o, t, i, j, v: _row_of(matrix, j, lambda k: half[b, o, t, i, k, v]),
            name=TILE_OUT,
        )

        def pixel(_n: Any, o: Any, y: Any, x: Any, v: Any) -> Any:
            band = y // each.tall * each.across + x // each.wide
            t = y % each.tall // size * each.columns + x % each.wide // size
            return tile[band, o, t, y % size, x % size, v]

        return te.compute((1, out, each.height, each.width, lanes), pixel, name="winograd_out")

    return of


def compute(each: Bands, window: Window) -> Compute:
    """Return the TE of a whole convolution, band by band."""
    return lambda data, weights: compute_out(each)(compute_in(each, window)(data), weights)


def _row_of(matrix: Matrix, row: Any, element: Callable[[int], Any]) -> Any:
    """Return the product of a column with the row that an unrolled loop chooses."""
    chosen = _combination(matrix[-1], element)
    for number in range(len(matrix) - 2, -1, -1):
        chosen = tirx.Select(row == number, _combination(matrix[number], element), chosen)
    return chosen


def _combination(row: Sequence[float], element: Callable[[int], Any]) -> Any:
    total: Any = None
    for position, factor in enumerate(row):
        if factor == 0:
            continue
        term = element(position)
        if total is None:
            total = term if factor == 1 else term * tirx.const(float(factor), "float32")
        elif factor in (1, -1):
            total = total + term if factor == 1 else total - term
        else:
            total = total + term * tirx.const(float(factor), "float32")
    return total
