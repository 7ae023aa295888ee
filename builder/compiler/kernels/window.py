"""The sliding window of a convolution or a pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Kernel extents, strides, dilations (height, width) and padding (top, left, bottom, right)."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[int, int, int, int]

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Return the extents of a padded input."""
        top, left, bottom, right = self.padding
        return height + top + bottom, width + left + right

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Return the extents of the output over an input of ``height`` by ``width``."""
        tall, wide = self.padded(height, width)
        reach_y = (self.kernel[0] - 1) * self.dilations[0] + 1
        reach_x = (self.kernel[1] - 1) * self.dilations[1] + 1
        return (tall - reach_y) // self.strides[0] + 1, (wide - reach_x) // self.strides[1] + 1

    @property
    def is_padded(self) -> bool:
        return any(self.padding)


def window(
    kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: Sequence[int]
) -> Window:
    """Return a window of TVM's attribute lists (padding in the order top, left, bottom, right)."""
    kh, kw = (int(extent) for extent in kernel)
    sh, sw = (int(stride) for stride in strides)
    dh, dw = (int(dilation) for dilation in dilations)
    top, left, bottom, right = (int(pad) for pad in padding)
    return Window(
        kernel=(kh, kw),
        strides=(sh, sw),
        dilations=(dh, dw),
        padding=(top, left, bottom, right),
    )
