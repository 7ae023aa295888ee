"""Winograd convolution F(4x4, 3x3): 36 products of matrices instead of 144 multiplications a tile.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. The transforms use the
points 0, 1, -1, 2, -2 and infinity; their error in float32 is about ten times the direct sum's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import s_tir, te, tirx

from builder.compiler.kernels import loops
from builder.compiler.kernels.conv import Compute, pad_image
from builder.compiler.kernels.matmul import ANCHOR as PRODUCT
from builder.compiler.kernels.window import Window
from builder.compiler.vector_unit import VectorUnit

ANCHOR_IN = "winograd_in"
ANCHOR_OUT = "winograd_half_out"

_TILE = 4
_POINTS = 6

_DATA = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_WEIGHTS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)


def transform_weights(weights: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Transform OIHW 3x3 weights (in float64) and pack them [36, O/width, I, width]."""
    out, channels, _, _ = weights.shape
    matrix = np.array(_WEIGHTS)
    points = np.einsum("ai,ocij,bj->abco", matrix, weights.astype(np.float64), matrix)
    flat = points.reshape(_POINTS * _POINTS, channels, out // width, width)
    return np.ascontiguousarray(flat.transpose(0, 2, 1, 3).astype(weights.dtype))


def compute_in(window: Window, height: int, width: int) -> Compute:
    """Return the TE that transforms a blocked input: [6, 6, tiles y, tiles x, C/c, c]."""
    down, across = -(-height // _TILE), -(-width // _TILE)

    def of(data: te.Tensor) -> te.Tensor:
        _, blocks, tall, wide, lanes = (int(extent) for extent in data.shape)
        top, left, _, _ = window.padding
        reach = Window(
            kernel=window.kernel,
            strides=window.strides,
            dilations=window.dilations,
            padding=(
                top,
                left,
                _TILE * down + 2 - tall - top,
                _TILE * across + 2 - wide - left,
            ),
        )
        padded = pad_image(data, reach, name="winograd_pad")
        half = te.compute(
            (down, across, blocks, _POINTS, _POINTS, lanes),
            lambda ty, tx, c, a, j, v: _row_of(
                _DATA, a, lambda i: padded[0, c, ty * _TILE + i, tx * _TILE + j, v]
            ),
            name="winograd_half_in",
        )
        return te.compute(
            (_POINTS, _POINTS, down, across, blocks, lanes),
            lambda a, b, ty, tx, c, v: _row_of(_DATA, b, lambda j: half[ty, tx, c, a, j, v]),
            name=ANCHOR_IN,
        )

    return of


def compute_product(data: te.Tensor, weights: te.Tensor) -> te.Tensor:
    """Multiply per point: [6, 6, ty, tx, C/c, c] by [36, O/w, C, w] is [36, ty * tx, O]."""
    _, _, down, across, blocks, lanes = (int(extent) for extent in data.shape)
    points, panels, depth, width = (int(extent) for extent in weights.shape)
    assert depth == blocks * lanes
    k = te.reduce_axis((0, depth), name="k")

    def element(p: Any, t: Any, o: Any) -> Any:
        read = data[p // _POINTS, p % _POINTS, t // across, t % across, k // lanes, k % lanes]
        return te.sum(read * weights[p, o // width, k, o % width], axis=[k])

    return te.compute((points, down * across, panels * width), element, name=PRODUCT)


def compute_out(height: int, width: int, lanes: int) -> Compute:
    """Return the TE that transforms [36, tiles, O] back to [1, O/c, height, width, c]."""
    down, across = -(-height // _TILE), -(-width // _TILE)

    def of(product: te.Tensor) -> te.Tensor:
        blocks = int(product.shape[2]) // lanes
        half = te.compute(
            (blocks, down, across, _TILE, _POINTS, lanes),
            lambda c, ty, tx, a, j, v: _row_of(
                _OUTPUT,
                a,
                lambda i: product[i * _POINTS + j, ty * across + tx, c * lanes + v],
            ),
            name=ANCHOR_OUT,
        )
        tile = te.compute(
            (blocks, down, across, _TILE, _TILE, lanes),
            lambda c, ty, tx, a, b, v: _row_of(_OUTPUT, b, lambda j: half[c, ty, tx, a, j, v]),
            name="winograd_tile_out",
        )
        return te.compute(
            (1, blocks, height, width, lanes),
            lambda _n, c, y, x, v: tile[c, y // _TILE, x // _TILE, y % _TILE, x % _TILE, v],
            name="winograd_out",
        )

    return of


def schedule_in(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Transform a tile of one channel block at a time, all its points in registers."""
    out, half = sch.get_sblock(ANCHOR_IN), sch.get_sblock("winograd_half_in")
    a, b, ty, tx, c, v = sch.get_loops(out)
    vo, vi = loops.vectors(sch, v, unit.lanes)
    sch.reorder(c, ty, tx, vo, a, b, vi)
    sch.compute_at(half, vo, preserve_unit_loops=True)
    sch.set_scope(half, 0, "local")
    inside = sch.get_loops(half)[4:]
    if parallel:
        sch.parallel(c)
    loops.unroll_all(sch, inside[:-1])
    sch.vectorize(inside[-1])
    loops.unroll_all(sch, [a, b])
    sch.vectorize(vi)
    for block in loops.blocks(sch):
        if loops.name(sch, block) == "winograd_pad":
            loops.vectorise_last(sch, block, unit.lanes)


def schedule_out(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Transform a tile back in registers and write it through the epilogue."""
    inner = (ANCHOR_OUT, "winograd_tile_out")
    after = [block for block in loops.blocks(sch) if loops.name(sch, block) not in inner]
    for block in after[:-1]:
        sch.compute_inline(block)
    n, c, y, x, v = sch.get_loops(after[-1])
    yo, yi = sch.split(y, [None, _TILE])
    xo, xi = sch.split(x, [None, _TILE])
    vo, vi = loops.vectors(sch, v, unit.lanes)
    sch.reorder(n, c, yo, xo, vo, yi, xi, vi)
    for name in reversed(inner):
        block = sch.get_sblock(name)
        sch.compute_at(block, vo, preserve_unit_loops=True)
        sch.set_scope(block, 0, "local")
    depth = 5
    if parallel:
        sch.parallel(sch.fuse(n, c))
        depth = 4
    for name in inner:
        inside = sch.get_loops(sch.get_sblock(name))[depth:]
        loops.unroll_all(sch, inside[:-1])
        sch.vectorize(inside[-1])
    loops.unroll_all(sch, [yi, xi])
    sch.vectorize(vi)


Matrix = Sequence[Sequence[float]]


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
