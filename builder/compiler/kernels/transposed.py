"""Transposed convolution as a convolution of all phases at once, and their interleaving.

With stride s, outputs whose coordinates leave the same rest modulo s (a phase) are an ordinary
convolution of the input. The phases share one window, as channels of one convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import te

from builder.compiler.kernels.conv import Compute, round_up
from builder.compiler.kernels.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """One axis: output q * stride + r reads inputs q + first ... q + last, whatever r."""

    kernel: int
    stride: int
    padding: int
    input: int
    output: int

    @property
    def first(self) -> int:
        return -((self.kernel - 1 - self.padding) // self.stride)

    @property
    def last(self) -> int:
        return (self.stride - 1 + self.padding) // self.stride

    @property
    def taps(self) -> int:
        return self.last - self.first + 1

    @property
    def steps(self) -> int:
        """How often every phase occurs, the last time perhaps beyond the output."""
        return -(-self.output // self.stride)

    @property
    def after(self) -> int:
        """Padding behind the input for the last step's last tap; negative where input is left."""
        return self.steps - 1 + self.last - (self.input - 1)

    def tap(self, phase: int, position: int) -> int | None:
        """Return the weight that a phase has at a position of the shared window."""
        tap = phase + self.padding - (position + self.first) * self.stride
        return tap if 0 <= tap < self.kernel else None


def window(down: Phases, across: Phases) -> Window:
    """Return the window that all phases share."""
    return Window(
        kernel=(down.taps, across.taps),
        strides=(1, 1),
        dilations=(1, 1),
        padding=(-down.first, -across.first, max(down.after, 0), max(across.after, 0)),
    )


def phase_weights(
    weights: npt.NDArray[Any], down: Phases, across: Phases, lanes: int
) -> npt.NDArray[Any]:
    """Turn IOHW weights into OIHW ones: phases by rows, by columns, then channels in blocks."""
    inputs, out, _, _ = weights.shape
    shape = (down.stride, across.stride, round_up(out, lanes), inputs, down.taps, across.taps)
    full = np.zeros(shape, weights.dtype)
    for r, s, y, x in np.ndindex(down.stride, across.stride, down.taps, across.taps):
        i, j = down.tap(r, y), across.tap(s, x)
        if i is not None and j is not None:
            full[r, s, :out, :, y, x] = weights[:, :, i, j].T
    return full.reshape(-1, inputs, down.taps, across.taps)


def interleave(down: Phases, across: Phases) -> Compute:
    """Return the TE that puts the phases' blocked channels side by side in the image."""

    def of(data: te.Tensor) -> te.Tensor:
        batch, total, _, _, lanes = (int(extent) for extent in data.shape)
        blocks = total // (down.stride * across.stride)

        def element(n: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
            phase = y % down.stride * across.stride + x % across.stride
            return data[n, phase * blocks + c, y // down.stride, x // across.stride, v]

        shape = (batch, blocks, down.output, across.output, lanes)
        return te.compute(shape, element, name="interleave")

    return of
