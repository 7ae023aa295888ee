"""Convolution over channel blocks: NCHWc in, NCHWc out, weights packed to match.

A tile of output columns and channel blocks is summed in registers; each step broadcasts one input
element a column and loads one vector of weights a block. It reaches the core's multiply-add peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import s_tir, te, tirx

from builder.compiler.kernels import by_lane, loops, tiles
from builder.compiler.kernels.channels import Walk
from builder.compiler.kernels.choice import Choice
from builder.compiler.kernels.window import Window
from builder.compiler.vector_unit import VectorUnit

WEIGHTS_IN_CACHE_BYTES = 256 * 1024
"""Half of a common second-level cache: weights up to this are walked again every row."""

_TILES_TO_CUT = 4
"""Tiles a row from which on most of them are not at an edge."""

ANCHOR = "conv_sum"
PAD = "conv_pad"

Compute = Callable[..., te.Tensor]


def round_up(number: int, multiple: int) -> int:
    """Return the smallest multiple that is no smaller than ``number``."""
    return -(-number // multiple) * multiple


def pack_plain(weights: npt.NDArray[Any], lanes: int) -> npt.NDArray[Any]:
    """Pack OIHW weights for a plain input: [O/lanes, I, kh, kw, lanes], filled up with zeros."""
    out, channels, kh, kw = weights.shape
    full = np.zeros((round_up(out, lanes), channels, kh, kw), weights.dtype)
    full[:out] = weights
    return np.ascontiguousarray(full.reshape(-1, lanes, channels, kh, kw).transpose(0, 2, 3, 4, 1))


def of_known(
    image: npt.NDArray[Any], weights: npt.NDArray[Any], window: Window, groups: int
) -> npt.NDArray[Any]:
    """Return the convolution of an image [N, C, H, W] by OIHW weights, summed in float64."""
    batch, channels, height, width = image.shape
    top, left, bottom, right = window.padding
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    padded = padded.reshape(batch, groups, channels // groups, *padded.shape[2:])
    tall, wide = window.output(height, width)
    by_group = weights.reshape(groups, -1, *weights.shape[1:])
    (sh, sw), (dh, dw) = window.strides, window.dilations
    total = np.zeros((batch, groups, by_group.shape[1], tall, wide))
    for y, x in np.ndindex(*window.kernel):
        rows = slice(y * dh, y * dh + (tall - 1) * sh + 1, sh)
        columns = slice(x * dw, x * dw + (wide - 1) * sw + 1, sw)
        seen = padded[..., rows, columns]
        total += np.einsum("ngihw,goi->ngohw", seen, by_group[..., y, x])
    return total.reshape(batch, -1, tall, wide).astype(image.dtype)


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


def compute_plain(window: Window) -> Compute:
    """Return the TE of a convolution of a plain input by ``pack_plain``'s weights."""
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.strides, window.dilations

    def of(data: te.Tensor, weights: te.Tensor) -> te.Tensor:
        batch, channels, height, width = (int(extent) for extent in data.shape)
        padded = pad_image(data, window)
        c, ry, rx = (te.reduce_axis((0, extent)) for extent in (channels, kh, kw))

        def element(n: Any, o: Any, y: Any, x: Any, v: Any) -> Any:
            read = padded[n, c, y * sh + ry * dh, x * sw + rx * dw]
            return te.sum(read * weights[o, c, ry, rx, v], axis=[c, ry, rx])

        shape = (batch, int(weights.shape[0]), *window.output(height, width), weights.shape[-1])
        return te.compute(shape, element, name=ANCHOR)

    return of


def compute(window: Window, each: Walk) -> Compute:
    """Return the TE of a convolution of a blocked input by weights that ``channels`` packed."""
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.strides, window.dilations

    def of(data: te.Tensor, weights: te.Tensor) -> te.Tensor:
        batch, blocks, height, width, lanes = (int(extent) for extent in data.shape)
        padded = pad_image(data, window)
        c, ry, rx, ci = (te.reduce_axis((0, n)) for n in (each.runs, kh, kw, each.run))
        overhangs = each.first(int(weights.shape[0]) - 1) + each.runs > blocks * lanes // each.run

        def element(n: Any, o: Any, y: Any, x: Any, v: Any) -> Any:
            block, lane = _channel(each, each.first(o) + c, ci)
            inside = tirx.min(block, blocks - 1) if overhangs else block
            read = padded[n, inside, y * sh + ry * dh, x * sw + rx * dw, lane]
            return te.sum(read * weights[o, c, ry, rx, ci, v], axis=[c, ry, rx, ci])

        shape = (batch, int(weights.shape[0]), *window.output(height, width), lanes)
        return te.compute(shape, element, name=ANCHOR)

    return of


def compute_with_boundaries(window: Window, each: Walk) -> Compute:
    """Return the TE of ``compute`` with what was summed apart for blocks in which a group ends."""

    def of(data: te.Tensor, weights: te.Tensor, apart: te.Tensor) -> te.Tensor:
        sums = compute(window, each)(data, weights)
        boundaries = int(apart.shape[1])

        def element(n: Any, o: Any, y: Any, x: Any, v: Any) -> Any:
            group = o * each.lanes // each.group_outputs
            last = (o * each.lanes + each.lanes - 1) // each.group_outputs
            ends = tirx.all(last > group, group < boundaries)
            rest = apart[n, tirx.min(group, boundaries - 1), y, x, v]
            zero = tirx.const(0.0, data.dtype)
            return sums[n, o, y, x, v] + tirx.if_then_else(ends, rest, zero)

        return te.compute(sums.shape, element, name="conv_boundaries")

    return of


def _channel(each: Walk, run: Any, position: Any) -> tuple[Any, Any]:
    """Return the block and the lane of a position in a run."""
    if each.lanes % each.run:  # the only run there is
        return 0, position
    per_block = each.lanes // each.run
    return run // per_block, run % per_block * each.run + position


def _rows_come_first(sch: s_tir.Schedule, main: loops.Block, bands: int, panels: int) -> bool:
    """Tell whether all weights are walked for each band of rows, or all rows for each panel.

    Small weights stay in cache. Of large weights and large images the smaller is walked again.
    """
    image, weights = (
        4 * math.prod(int(extent) for extent in region.source.shape)
        for region in sch.get(main).reads
    )
    return weights <= WEIGHTS_IN_CACHE_BYTES or bands * weights < panels * image


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, choice: Choice) -> None:
    """Tile the output, sum each tile in registers, write it through the epilogue.

    Small weights stay in cache, so rows of tiles come first. Padding is no copy then: the loops are
    cut where it begins, and only tiles at the edges look for it. In images of few tiles a row's
    input is padded when it is needed. Large weights are walked once: channel blocks come first,
    over a padded copy.
    """
    main, last, before = loops.fold_epilogue(sch, ANCHOR)
    n, o, y, x, v = sch.get_loops(last)
    height, width, blocks = (loops.extent(sch, loop) for loop in (y, x, o))
    registers = loops.extent(sch, v) // unit.lanes
    unit = replace(unit, by_lane=by_lane.suits(sch, main, unit))
    candidates = tiles.image_tiles(height, width, blocks, registers, unit)
    rows, columns, together = choice.pick(candidates)
    rows_first = _rows_come_first(sch, main, height // rows, blocks // together)
    lanes = unit.by_lane and width % columns == 0
    inputs = by_lane.inputs_apart(sch, main) if lanes else None
    oo, oi = sch.split(o, [None, together])
    # Tests beside the sums cost an in-order core more than a copy.
    cut = rows_first and not unit.core.in_order and width >= _TILES_TO_CUT * columns
    share = tiles.share(height // rows, loops.extent(sch, n)) if parallel and cut else None
    band, yo, yi = sch.split(y, [None, share or (1 if parallel else height // rows), rows])
    xo, xi = sch.split(x, [None, columns])
    outer = (n, band, yo, oo) if rows_first else (n, oo, band, yo)
    vo, vi = loops.vectors(sch, v, unit.lanes)
    sch.reorder(*outer, xo, oi, yi, xi, vo, vi)
    sch.compute_at(main, xo, preserve_unit_loops=True)
    sch.set_scope(main, 0, "local")
    inside = sch.get_loops(main)[5:]
    count = loops.reduction_count(sch, main)
    reduced, spatial = inside[-count:], inside[:-count]
    across, lane = loops.vectors(sch, spatial[-1], unit.lanes)
    sch.reorder(*reduced, *spatial[:-1], across, lane)
    if inputs is not None:
        reduced[-1] = by_lane.load(sch, inputs, reduced[-1])
    elif unit.one_step_at_a_time and len(reduced) == 4:
        c, ry, rx, ci = reduced
        sch.reorder(ry, rx, c, ci)
        reduced = [ry, rx, sch.fuse(c, ci)]
    for block in before:
        padding = loops.name(sch, block) == PAD
        if padding and cut:
            sch.compute_inline(block)
            loops.partition(sch, xo)
            loops.partition(sch, yo)
            continue
        if padding and rows_first:
            sch.compute_at(block, yo, preserve_unit_loops=True)
        loops.vectorise_last(sch, block, unit.lanes)
    sch.vectorize(lane)
    loops.unroll_all(sch, [*spatial[:-1], across])
    depth = 5
    if parallel:
        split = outer[:2] if rows_first else outer
        sch.parallel(sch.fuse(*split))
        depth = 6 - len(split)
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
