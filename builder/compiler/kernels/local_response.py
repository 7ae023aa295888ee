"""Local response normalisation: each element scaled by the squares of its neighbour channels.

The neighbours of a channel lie in other blocks, a whole image away. So the squares of some columns
are laid out first with all channels of a point in a row; a window then is vectors that overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import s_tir, te, tirx

from builder.compiler.kernels import loops
from builder.compiler.kernels.conv import Compute
from builder.compiler.kernels.softmax import LOG2E
from builder.compiler.vector_unit import VectorUnit

ANCHOR = "response_scaled"
_SQUARES = "response_squares"

_COLUMNS = 16
"""At once: the squares of so many points stay in the first-level cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """x / (bias + alpha * the sum of x^2 over ``size`` channels) ^ beta.

    Of an even number of channels the one more comes after.
    """

    size: int
    alpha: float
    beta: float
    bias: float

    @property
    def before(self) -> int:
        """How many channels of the window come before its own."""
        return (self.size - 1) // 2

    def scaled(self, value: Any, squares: Any) -> Any:
        """Return the element that is ``value``, of the squares' sum."""
        base = _float(self.bias) + _float(self.alpha) * squares
        return value * tirx.exp2(_float(-self.beta * LOG2E) * tirx.log(base))


def _float(number: float) -> Any:
    return tirx.const(number, "float32")


def compute_plain(response: Response) -> Compute:
    """Return the TE of the response of [N, C, ...]."""

    def of(data: te.Tensor) -> te.Tensor:
        channels = int(data.shape[1])
        k = te.reduce_axis((0, response.size), name="k")

        def squares(n: Any, c: Any, *at: Any) -> Any:
            neighbour = c + k - response.before
            inside = tirx.all(neighbour >= 0, neighbour < channels)
            value = data[(n, tirx.max(0, tirx.min(neighbour, channels - 1)), *at)]
            return te.sum(tirx.if_then_else(inside, value * value, _float(0.0)), axis=[k])

        total = te.compute(data.shape, squares, name="response_sum")
        return te.compute(
            data.shape, lambda *at: response.scaled(data[at], total[at]), name="response"
        )

    return of


def compute(response: Response, channels: int) -> Compute:
    """Return the TE of the response of blocks that hold ``channels``; windows reach one block."""

    def of(data: te.Tensor) -> te.Tensor:
        batch, blocks, height, width, lanes = (int(extent) for extent in data.shape)

        def square(n: Any, y: Any, x: Any, block: Any, v: Any) -> Any:
            value = data[n, block - 1, y, x, v]
            known = value * value
            if channels % lanes:
                real = (block - 1) * lanes + v < channels
                known = tirx.Select(real, known, _float(0.0))
            return tirx.if_then_else(tirx.all(block > 0, block <= blocks), known, _float(0.0))

        row = (blocks + 2, lanes)  # a block of zeros on either side
        squares = te.compute((batch, height, width, *row), square, name=_SQUARES)

        def element(n: Any, o: Any, y: Any, x: Any, v: Any) -> Any:
            first = (o + 1) * lanes + v - response.before
            places = (first + k for k in range(response.size))
            total = sum(squares[n, y, x, place // lanes, place % lanes] for place in places)
            return response.scaled(data[n, o, y, x, v], total)

        return te.compute(data.shape, element, name=ANCHOR)

    return of


def schedule(sch: s_tir.Schedule, unit: VectorUnit, parallel: bool) -> None:
    """Take some columns of a row at a time through all channels."""
    squares, last = sch.get_sblock(_SQUARES), sch.get_sblock(ANCHOR)
    n, o, y, x, v = sch.get_loops(last)
    rounds = -(-loops.extent(sch, x) // _COLUMNS)
    xo, xi = sch.split(x, [rounds, None])
    sch.reorder(n, y, xo, o, xi, v)
    sch.compute_at(squares, xo, preserve_unit_loops=True)
    *_, point, block, position = sch.get_loops(squares)
    part, lane = loops.vectors(sch, position, unit.lanes)
    sch.reorder(block, point, part, lane)
    loops.partition(sch, block)
    sch.vectorize(lane)
    sch.vectorize(loops.vectors(sch, v, unit.lanes)[1])
    if parallel:
        sch.parallel(sch.fuse(n, y))
