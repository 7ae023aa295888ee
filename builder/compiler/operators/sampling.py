"""GridSample: where each element comes from is worked out once, for all channels.

TVM's own kernels say it in one expression an element, which kept its simplifier busy for seconds a
node. Here places and weights go through memory that the kernel owns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax, te, tirx
from tvm.script.ir_builder import tirx as T

from builder.compiler.operators import loops
from builder.compiler.operators.node import Node, dtype_of
from builder.compiler.selections import at_least, at_most

_TAPS = {"nearest": 1, "linear": 2, "cubic": 4}
_OLD_NAMES = {"bilinear": "linear", "bicubic": "cubic"}
_CUBIC = -0.75
"""The free coefficient of Keys' kernel (1981), as PyTorch and ONNX have it."""


_KNOWN_BELOW = float(1 << 61)
"""Coordinates that ONNX Runtime takes for numbers; for the others and NaN it takes -1."""


class _Held:
    """Numbers in a buffer, one after the other: what TVM's simplifier does not look behind."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        self._used = 0

    def __call__(self, value: Any) -> Any:
        """Store a number; return it as read from the buffer."""
        place = self._used
        assert place < _HELD
        self._used += 1
        self._buffer[place] = value
        return self._buffer[place]


_HELD = 48
"""Numbers that are held for one axis, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """How one axis of ``size`` elements is sampled, in numbers of type ``dtype``."""

    size: int
    mode: str
    padding: str
    aligned: bool
    dtype: str
    held: _Held

    def place(self, coordinate: Any) -> Any:
        """Return where a coordinate between -1 and 1 lies, in elements."""
        known = tirx.abs(coordinate) < self.c(_KNOWN_BELOW)
        coordinate = self.held(tirx.Select(known, coordinate, self.c(-1)))
        half = self.c((self.size - 1) / 2 if self.aligned else self.size / 2)
        place = (coordinate + self.c(1)) * half
        place = self.held(place if self.aligned else place - self.c(0.5))
        return place if self.mode == "cubic" else self.padded(place)

    def first(self, place: Any) -> Any:
        """Return the first element that a place is made of."""
        if self.mode == "nearest":
            return tirx.nearbyint(place)
        return tirx.floor(place) - self.c(1 if self.mode == "cubic" else 0)

    def weights(self, place: Any) -> list[Any]:
        """Return the weights of the elements that a place is made of."""
        part = self.held(place - tirx.floor(place))
        one = self.c(1)
        if self.mode == "nearest":
            return [one]
        if self.mode == "linear":
            return [one - part, part]
        return [
            self._far(part + one),
            self._near(part),
            self._near(one - part),
            self._far(self.c(2) - part),
        ]

    def padded(self, place: Any) -> Any:
        """Return a place with what lies outside moved inside, where the padding does that."""
        if self.padding == "zeros":
            return place
        if self.padding == "reflection":
            place = self._reflected(place)
        raised = self.held(at_least(place, self.c(0)))
        return self.held(at_most(raised, self.c(self.size - 1)))

    def index(self, place: Any) -> Any:
        """Return a whole number as an index that is always inside."""
        raised = self.held(at_least(place, self.c(0)))
        return at_most(raised, self.c(self.size - 1)).astype("int32")

    def is_outside(self, place: Any) -> Any:
        return tirx.any(place < self.c(0), place > self.c(self.size - 1))

    def _reflected(self, place: Any) -> Any:
        """Mirror a place at the first and the last element, or at their outer edges."""
        low, span = (0.0, self.size - 1) if self.aligned else (-0.5, self.size)
        if span == 0:
            return self.c(0)
        distance = self.held(tirx.abs(place - self.c(low)))
        times = self.held(tirx.floor(distance / self.c(span)))
        rest = self.held(distance - times * self.c(span))
        is_even = times == tirx.floor(times * self.c(0.5)) * self.c(2)
        turned = tirx.Select(is_even, rest, self.c(span) - rest) + self.c(low)
        inside = tirx.all(place >= self.c(low), place <= self.c(low + span))
        return self.held(tirx.Select(inside, place, turned))

    def _near(self, x: Any) -> Any:
        return ((self.c(_CUBIC + 2) * x - self.c(_CUBIC + 3)) * x) * x + self.c(1)

    def _far(self, x: Any) -> Any:
        a = _CUBIC
        return ((self.c(a) * x - self.c(5 * a)) * x + self.c(8 * a)) * x - self.c(4 * a)

    def c(self, value: float) -> Any:
        return tirx.const(value, self.dtype)


def grid_sample(node: Node) -> relax.Expr | None:
    """Convert GridSample of any rank, from [N, C, ...] to [N, C, ...] of the grid."""
    data, grid = node.required(0), node.required(1)
    batch, channels, *sizes = node.shape(0)
    result = node.shape(1)[1:-1]
    kind, mode = dtype_of(data), str(node.attribute("mode", "linear"))
    mode = _OLD_NAMES.get(mode, mode)
    if not kind.startswith("float") or mode not in _TAPS:
        return None
    taps, rank = _TAPS[mode], len(sizes)
    scratch: list[tuple[Sequence[int], str]] = [
        ([_HELD], dtype_of(grid)),
        ([rank, taps], "int32"),
        ([rank, taps], kind),
        ([taps**rank], kind),
    ]

    def line(size: int, held: _Held) -> _Line:
        return _Line(
            size=size,
            mode=mode,
            padding=str(node.attribute("padding_mode", "zeros")),
            aligned=bool(node.attribute("align_corners", 0)),
            dtype=dtype_of(grid),
            held=held,
        )

    def compute(source: te.Tensor, where: te.Tensor) -> Any:
        def body(values: Any, coordinates: Any, sampled: Any, *own: Any) -> None:
            memory, indices, by_axis, weights = own
            with T.serial(0, batch) as n, T.serial(0, math.prod(result)) as flat:
                at = _unflattened(flat, result)
                for axis, size in enumerate(sizes):
                    coordinate = coordinates[(n, *at, rank - 1 - axis)]
                    _weigh(line(size, _Held(memory)), coordinate, axis, indices, by_axis)
                every = list(itertools.product(range(taps), repeat=rank))
                for number, tap in enumerate(every):
                    weights[number] = math.prod(by_axis[axis, t] for axis, t in enumerate(tap))
                with T.serial(0, channels) as c:
                    sampled[(n, c, *at)] = sum(
                        values[(n, c, *(indices[axis, t] for axis, t in enumerate(tap)))]
                        * weights[number]
                        for number, tap in enumerate(every)
                    )

        outputs = [([batch, channels, *result], kind), *scratch]
        return loops.kernel(body, [source, where], outputs, name="grid_sample")

    made = node.builder.emit(node.call(compute, data, grid, name="grid_sample"))
    return relax.TupleGetItem(made, 0)


def _weigh(line: _Line, coordinate: Any, axis: int, indices: Any, weights: Any) -> None:
    """Store the indices and weights of one axis."""
    place = line.place(coordinate)
    for tap, weight in enumerate(line.weights(place)):
        weights[axis, tap] = weight.astype(weights.dtype)
    for tap in range(_TAPS[line.mode]):
        element = line.held(line.first(place) + line.c(tap))
        if line.mode == "cubic":
            element = line.padded(element)
        indices[axis, tap] = line.index(element)
        weight = weights[axis, tap]
        nothing = tirx.const(0, weights.dtype)
        weights[axis, tap] = tirx.Select(line.is_outside(element), nothing, weight)


def _unflattened(flat: Any, extents: Sequence[int]) -> list[Any]:
    """Return the indices of an element by its position."""
    at: list[Any] = []
    for extent in reversed(extents):
        at.insert(0, tirx.floormod(flat, extent))
        flat = tirx.floordiv(flat, extent)
    return at
