"""Depthwise convolution: each channel on its own, a block of channels to a vector."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import s_tir, te, tirx

from builder.compiler.kernels import loops, tiles
from builder.compiler.kernels.choice import Choice
from builder.compiler.kernels.conv import Compute, pad_image, round_up
from builder.compiler.kernels.window import Window
from builder.compiler.vector_unit import VectorUnit

ANCHOR = "depthwise_sum"
PAD = "depthwise_pad"


def pack_weights(weights: npt.NDArray[Any], lanes: int) -> npt.NDArray[Any]:
    """Pack [C, 1, kh, kw] as [C/lanes, kh, kw, lanes]; channels that fill no block are zero."""
    channels, _, kh, kw = weights.shape
    full = np.zeros((round_up(channels, lanes), kh, kw), weights.dtype)
    full[:channels] = weights[:, 0]
    return np.ascontiguousarray(full.reshape(-1, lanes, kh, kw).transpose(0, 2, 3, 1))


def repeat(out: int, times: int) -> Compute:
    """Return the TE that repeats each channel of a blocked image: ``out`` channels."""

    def of(data: te.Tensor) -> te.Tensor:
        batch, _, height, width, lanes = (int(extent) for extent in data.shape)

        def element(n: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
            channel = tirx.min(c * lanes + v, out - 1) // times
            return data[n, channel // lanes, y, x, channel % lanes]

        shape = (batch, round_up(out, lanes) // lanes, height, width, lanes)
        return te.compute(shape, element, name="repeat_channels")

    return of


def compute(window: Window) -> Compute:
    """Return the TE of a depthwise convolution of a blocked input, one output a channel."""
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.strides, window.dilations

    def of(data: te.Tensor, weights: te.Tensor) -> te.Tensor:
        batch, blocks, height, width, lanes = (int(extent) for extent in data.shape)
        padded = pad_image(data, window, name=PAD)
        ry = te.reduce_axis((0, kh), name="ry")
        rx = te.reduce_axis((0, kw), name="rx")

        def element(n: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
            read = padded[n, c, y * sh + ry * dh, x * sw + rx * dw, v]
            return te.sum(read * weights[c, ry, rx, v], axis=[ry, rx])

        shape = (batch, blocks, *window.output(height, width), lanes)
        return te.compute(shape, element, name=ANCHOR)

    return of


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, choice: Choice) -> None:
    """Sum a few columns in registers with the window unrolled."""
    slide(sch, unit, parallel, choice, ANCHOR, PAD)


def slide(
    sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, choice: Choice, anchor: str, pad: str
) -> None:
    """Slide an unrolled window over each channel alone, a few columns at once in registers.

    Padding is no copy: the loops are cut where it begins, and only tiles at the edges look for it.
    """
    main, last, before = loops.fold_epilogue(sch, anchor)
    n, c, y, x, v = sch.get_loops(last)
    height, width = loops.extent(sch, y), loops.extent(sch, x)
    rows, columns, _ = choice.pick(tiles.image_tiles(height, width, 1, 1, _half(unit)))
    images = loops.extent(sch, n) * loops.extent(sch, c)
    share = tiles.share(height // rows, images) if parallel else height // rows
    band, yo, yi = sch.split(y, [None, share, rows])
    xo, xi = sch.split(x, [None, columns])
    vo, vi = loops.vectors(sch, v, unit.lanes)
    sch.reorder(n, c, band, yo, xo, vo, yi, xi, vi)
    sch.compute_at(main, vo, preserve_unit_loops=True)
    sch.set_scope(main, 0, "local")
    for block in before:
        if loops.name(sch, block) == pad:
            sch.compute_inline(block)
            loops.partition(sch, xo)
            loops.partition(sch, yo)
        else:
            loops.vectorise_last(sch, block, unit.lanes)
    inside = sch.get_loops(main)[6:]
    count = loops.reduction_count(sch, main)
    reduced, spatial = inside[-count:], inside[:-count]
    sch.reorder(*reduced, *spatial)
    sch.vectorize(spatial[-1])
    loops.unroll_all(sch, [*spatial[:-1], *reduced])
    depth = 6
    if parallel:
        sch.parallel(sch.fuse(n, c, band))
        depth = 4
    start = sch.decompose_reduction(main, reduced[0])
    sch.vectorize(vi)
    loops.unroll_all(sch, [yi, xi])
    zeroing = sch.get_loops(start)[depth:]
    loops.unroll_all(sch, zeroing[:-1])
    sch.vectorize(zeroing[-1])


def _half(unit: VectorUnit) -> VectorUnit:
    """Half the sums: every step loads an input vector of its own for each."""
    return replace(unit, accumulators=min(8, unit.accumulators), by_lane=False)
