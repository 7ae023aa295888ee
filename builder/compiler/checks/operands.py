"""Which operands of ONNX's operators are indices, lengths or the like, and what they may be.

Operators that are not here have none whose value is known at run time only: axes, sizes, pads and
the like decide shapes, and must be constants (``prepare/refuse.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from builder.compiler.checks.intervals import Interval, is_integer, of_type
from builder.compiler.operators.node import Node, dtype_of

What = Literal["index", "length", "divisor", "coordinate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a node demands of the values of an operand.

    ``bounds`` are one interval for all elements, or one for each place of the last axis. Without
    any, integers may be anything but 0, and floats anything finite.
    """

    position: int
    what: What
    bounds: tuple[Interval, ...]

    def holds_for(self, values: Interval) -> bool:
        """Say whether nothing in ``values`` is forbidden."""
        if not self.bounds:
            return values.low > 0 or values.high < 0
        return all(values.lies_in(bound) for bound in self.bounds)


Rule = Callable[[Node], Iterator[Demand]]


def demands(node: Node) -> tuple[Demand, ...]:
    """Return what a node demands of its operands."""
    rule = TABLE.get(node.operator)
    return () if rule is None else tuple(rule(node))


def _wrapping(extent: int) -> Interval:
    """Return the indices along an axis: negative ones count from its end."""
    return Interval(-extent, extent - 1)


def _along_axis(node: Node) -> Iterator[Demand]:
    extents = node.shape(0)
    extent = extents[int(node.attribute("axis", 0)) % len(extents)]
    yield Demand(position=1, what="index", bounds=(_wrapping(extent),))


def _coordinates(node: Node) -> Iterator[Demand]:
    first = int(node.attribute("batch_dims", 0))
    count = node.shape(1)[-1]
    reached = node.shape(0)[first : first + count]
    yield Demand(position=1, what="index", bounds=tuple(map(_wrapping, reached)))


def _regions(node: Node) -> Iterator[Demand]:
    yield Demand(position=1, what="coordinate", bounds=())
    yield Demand(position=2, what="index", bounds=(Interval(0, node.shape(0)[0] - 1),))


def _reversed(node: Node) -> Iterator[Demand]:
    steps = node.shape(0)[int(node.attribute("time_axis", 0))]
    yield Demand(position=1, what="length", bounds=(Interval(0, steps),))


def _recurrent(node: Node) -> Iterator[Demand]:
    steps = node.shape(0)[1 if node.attribute("layout", 0) else 0]
    yield Demand(position=4, what="length", bounds=(Interval(0, steps),))


def _written_from(node: Node) -> Iterator[Demand]:
    """A linear cache has room for all that is written; a circular one starts over at its end."""
    past, update = node.shape(0), node.shape(1)
    axis = int(node.attribute("axis", -2)) % len(past)
    circular = node.attribute("mode", "linear") == "circular"
    last = of_type("int64").high if circular else past[axis] - update[axis]
    yield Demand(position=2, what="index", bounds=(Interval(0, last),))


def _divisor(node: Node) -> Iterator[Demand]:
    if is_integer(dtype_of(node.required(1))):
        yield Demand(position=1, what="divisor", bounds=())


TABLE: Mapping[str, Rule] = {
    **dict.fromkeys(("Gather", "GatherElements", "Scatter", "ScatterElements"), _along_axis),
    **dict.fromkeys(("GatherND", "ScatterND"), _coordinates),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    **dict.fromkeys(("Div", "Mod"), _divisor),
    "ReverseSequence": _reversed,
    "RoiAlign": _regions,
    "TensorScatter": _written_from,
}
"""ONNX operator -> what it demands, as ONNX Runtime does."""
