"""Convolution over channel blocks: NCHWc in, NCHWc out, weights packed to match.

A tile of output columns and channel blocks is summed in registers; each step broadcasts one input
element a column and loads one vector of weights a block. It reaches the core's multiply-add peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import s_tir, te, tirx

from builder.compiler.kernels import loops, tiles
from builder.compiler.kernels.window import Window
from builder.compiler.vector_unit import VectorUnit

WEIGHTS_IN_CACHE_BYTES = 256 * 1024
"""Half of a common second-level cache: weights up to this are walked again every row."""

ANCHOR = "conv_sum"
PAD = "conv_pad"

Compute = Callable[..., te.Tensor]


def round_up(number: int, multiple: int) -> int:
    """Return the smallest multiple that is no smaller than ``number``."""
    return -(-number // multiple) * multiple


def pack_weights(
    weights: npt.NDArray[Any], groups: int, lanes: int, *, blocked_input: bool
) -> npt.NDArray[Any]:
    """Pack OIHW weights for ``compute``; channels that do not fill a block are zero.

    [O, I/groups, kh, kw] becomes [O/lanes, I/groups/lanes, kh, kw, lanes (in), lanes (out)] for a
    blocked input and [O/lanes, I, kh, kw, lanes] for a plain one.
    """
    out, each, kh, kw = weights.shape
    out_full = round_up(out, lanes)
    each_full = round_up(each, lanes) if blocked_input else each
    assert groups == 1 or (out % (groups * lanes) == 0 and each % lanes == 0)
    full = np.zeros((out_full, each_full, kh, kw), weights.dtype)
    full[:out, :each] = weights
    if not blocked_input:
        return np.ascontiguousarray(
            full.reshape(out_full // lanes, lanes, each, kh, kw).transpose(0, 2, 3, 4, 1)
        )
    shape = (out_full // lanes, lanes, each_full // lanes, lanes, kh, kw)
    return np.ascontiguousarray(full.reshape(shape).transpose(0, 2, 4, 5, 3, 1))


def pad_image(data: te.Tensor, window: Window, value: float = 0.0, name: str = PAD) -> te.Tensor:
    """Return ``data`` ([N, C, H, W] or [N, C, H, W, c]) with its border filled by ``value``."""
    if not window.is_padded:
        return data
    batch, channels, height, width, *lanes = (int(extent) for extent in data.shape)
    top, left, _, _ = window.padding
    shape = (batch, channels, *window.padded(height, width), *lanes)

    def element(n: Any, c: Any, y: Any, x: Any, *v: Any) -> Any:
        inside = tirx.all(y >= top, y < top + height, x >= left, x < left + width)
        border = tirx.const(value, data.dtype)
        return tirx.if_then_else(inside, data[(n, c, y - top, x - left, *v)], border)

    return te.compute(shape, element, name=name)


def compute(window: Window, groups: int, lanes: int) -> Compute:
    """Return the TE of a convolution of a blocked ([N, C/c, H, W, c]) or plain (NCHW) input."""
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.strides, window.dilations

    def of(data: te.Tensor, weights: te.Tensor) -> te.Tensor:
        batch, channels, height, width = (int(extent) for extent in data.shape[:4])
        out_blocks = int(weights.shape[0])
        each = channels // groups
        oh, ow = window.output(height, width)
        padded = pad_image(data, window)
        c = te.reduce_axis((0, each), name="c")
        ry = te.reduce_axis((0, kh), name="ry")
        rx = te.reduce_axis((0, kw), name="rx")
        axes = [c, ry, rx]
        inner = te.reduce_axis((0, lanes), name="ci") if len(data.shape) == 5 else None
        if inner is not None:
            axes.append(inner)

        def element(n: Any, o: Any, y: Any, x: Any, v: Any) -> Any:
            channel = c if groups == 1 else o // (out_blocks // groups) * each + c
            at = (n, channel, y * sh + ry * dh, x * sw + rx * dw)
            if inner is None:
                return te.sum(padded[at] * weights[o, c, ry, rx, v], axis=axes)
            return te.sum(padded[(*at, inner)] * weights[o, c, ry, rx, inner, v], axis=axes)

        return te.compute((batch, out_blocks, oh, ow, lanes), element, name=ANCHOR)

    return of


def _weights_bytes(sch: s_tir.Schedule, main: loops.Block) -> int:
    weights = sch.get(main).reads[1].source
    return 4 * math.prod(int(extent) for extent in weights.shape)


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Tile the output, sum each tile in registers, write it through the epilogue.

    Small weights stay in cache, so rows of tiles come first and a row's input is padded when it is
    needed. Large weights are walked once: channel blocks come first, over a padded copy.
    """
    main, last, before = loops.fold_epilogue(sch, ANCHOR)
    rows_first = _weights_bytes(sch, main) <= WEIGHTS_IN_CACHE_BYTES
    n, o, y, x, v = sch.get_loops(last)
    height, width, blocks = (loops.extent(sch, loop) for loop in (y, x, o))
    registers = loops.extent(sch, v) // unit.lanes
    rows, columns, together = tiles.image_tile(height, width, blocks, registers, unit)
    oo, oi = sch.split(o, [None, together])
    yo, yi = sch.split(y, [None, rows])
    xo, xi = sch.split(x, [None, columns])
    outer = (n, yo, oo) if rows_first else (n, oo, yo)
    vo, vi = loops.vectors(sch, v, unit.lanes)
    sch.reorder(*outer, xo, oi, yi, xi, vo, vi)
    sch.compute_at(main, xo, preserve_unit_loops=True)
    for block in before:
        if rows_first and loops.name(sch, block) == PAD:
            sch.compute_at(block, yo, preserve_unit_loops=True)
        loops.vectorise_last(sch, block, unit.lanes)
    sch.set_scope(main, 0, "local")
    inside = sch.get_loops(main)[4:]
    count = loops.reduction_count(sch, main)
    reduced, spatial = inside[-count:], inside[:-count]
    across, lane = loops.vectors(sch, spatial[-1], unit.lanes)
    sch.reorder(*reduced, *spatial[:-1], across, lane)
    sch.vectorize(lane)
    loops.unroll_all(sch, [*spatial[:-1], across])
    depth = 4
    if parallel:
        split = outer[:2] if rows_first else outer
        sch.parallel(sch.fuse(*split))
        depth = 5 - len(split)
        for block in before:
            if not rows_first:
                sch.parallel(sch.fuse(*sch.get_loops(block)[:3]))
    # Everything that touches the sums comes before the split of their initialisation.
    start = sch.decompose_reduction(main, reduced[0])
    sch.vectorize(vi)
    loops.unroll_all(sch, [oi, yi, xi, vo])
    zeroing = sch.get_loops(start)[depth:]
    loops.unroll_all(sch, zeroing[:-1])
    sch.vectorize(zeroing[-1])
