"""A window that slides over spatial axes: kernel, strides, dilations and padding of a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from builder.compiler.operators.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window over axes of ``extents``; it stops at ``result`` places along each."""

    extents: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    result: tuple[int, ...]

    def source(self, at: Sequence[Any], offset: Sequence[Any]) -> list[Any]:
        """Return where in the input the element ``offset`` of the window at ``at`` lies."""
        return [
            place * stride + step * dilation - pad
            for place, stride, step, dilation, pad in zip(
                at, self.strides, offset, self.dilations, self.before, strict=True
            )
        ]

    def inside(self, place: Sequence[Any]) -> Any:
        """Say whether a place is in the input, not in its padding."""
        pairs = zip(place, self.extents, strict=True)
        return tirx.all(*(test for i, extent in pairs for test in (i >= 0, i < extent)))


def window(node: Node, extents: Sequence[int], kernel: Sequence[int]) -> Window:
    """Return the window that a node's attributes describe; their padding is explicit."""
    rank = len(extents)
    strides = tuple(node.attribute("strides", (1,) * rank))
    dilations = tuple(node.attribute("dilations", (1,) * rank))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = tuple(node.attribute("pads", (0,) * 2 * rank))
    before, total = list(pads[:rank]), [a + b for a, b in zip(pads, pads[rank:], strict=False)]
    result = [
        _stops(e + t - k, s, bool(node.attribute("ceil_mode", 0)), e + b)
        for e, t, k, s, b in zip(extents, total, reach, strides, before, strict=True)
    ]
    return Window(
        extents=tuple(extents),
        kernel=tuple(kernel),
        strides=strides,
        dilations=dilations,
        before=tuple(before),
        result=tuple(result),
    )


def _stops(room: int, stride: int, ceil: bool, end: int) -> int:
    """Return how many places there are; one that starts beyond the input does not count."""
    count = (-(-room // stride) if ceil else room // stride) + 1
    return count - 1 if ceil and (count - 1) * stride >= end else count
