"""Pooling over channel blocks."""

from __future__ import annotations

from typing import Any

from tvm import s_tir, te, tirx

from builder.compiler.kernels import depthwise, loops, plain
from builder.compiler.kernels.choice import Choice
from builder.compiler.kernels.conv import Compute, pad_image
from builder.compiler.kernels.window import Window
from builder.compiler.vector_unit import VectorUnit

ANCHOR_MAX = "pool_window_max"
ANCHOR_SUM = "pool_window_sum"
PAD = "pool_pad"

_LARGEST_UNROLLED = 49
"""Elements of a window; larger ones are looped over."""

_LOWEST = -3.4028234663852886e38


def compute_max(window: Window, height: int, width: int) -> Compute:
    """Return the TE of max pooling of a blocked input to ``height`` by ``width``."""
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.strides, window.dilations

    def of(data: te.Tensor) -> te.Tensor:
        batch, blocks, _, _, lanes = (int(extent) for extent in data.shape)
        padded = pad_image(data, window, _LOWEST, PAD)
        ry = te.reduce_axis((0, kh), name="ry")
        rx = te.reduce_axis((0, kw), name="rx")
        return te.compute(
            (batch, blocks, height, width, lanes),
            lambda n, c, y, x, v: te.max(
                padded[n, c, y * sh + ry * dh, x * sw + rx * dw, v], axis=[ry, rx]
            ),
            name=ANCHOR_MAX,
        )

    return of


def compute_average(window: Window, height: int, width: int, *, count_padding: bool) -> Compute:
    """Return the TE of average pooling of a blocked input to ``height`` by ``width``."""
    (kh, kw), (sh, sw) = window.kernel, window.strides
    top, left, _, _ = window.padding

    def of(data: te.Tensor) -> te.Tensor:
        batch, blocks, tall, wide, lanes = (int(extent) for extent in data.shape)
        padded = pad_image(data, window, 0.0, PAD)
        ry = te.reduce_axis((0, kh), name="ry")
        rx = te.reduce_axis((0, kw), name="rx")
        total = te.compute(
            (batch, blocks, height, width, lanes),
            lambda n, c, y, x, v: te.sum(padded[n, c, y * sh + ry, x * sw + rx, v], axis=[ry, rx]),
            name=ANCHOR_SUM,
        )

        def covered(start: Any, reach: int, limit: int) -> Any:
            return tirx.min(start + reach, limit) - tirx.max(start, 0)

        def mean(n: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
            if count_padding or not window.is_padded:
                return total[n, c, y, x, v] * tirx.const(1.0 / (kh * kw), data.dtype)
            seen = covered(y * sh - top, kh, tall) * covered(x * sw - left, kw, wide)
            return total[n, c, y, x, v] / tirx.Cast(data.dtype, seen)

        return te.compute(total.shape, mean, name="pool_mean")

    return of


def schedule_max(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, choice: Choice) -> None:
    """Slide the window over a few columns at once."""
    _schedule(sch, unit, parallel, choice, ANCHOR_MAX)


def schedule_average(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, choice: Choice) -> None:
    """Slide the window over a few columns at once."""
    _schedule(sch, unit, parallel, choice, ANCHOR_SUM)


def _schedule(
    sch: s_tir.Schedule, unit: VectorUnit, parallel: bool, choice: Choice, anchor: str
) -> None:
    down, across = sch.get_loops(sch.get_sblock(anchor))[-2:]
    if loops.extent(sch, down) * loops.extent(sch, across) > _LARGEST_UNROLLED:
        plain.schedule(sch, unit, parallel)
    else:
        depthwise.slide(sch, unit, parallel, choice, anchor, PAD)
