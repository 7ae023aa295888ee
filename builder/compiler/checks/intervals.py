"""What integers a tensor can hold, as far as the operators before it show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from builder.compiler.operators.node import Array, Node


@dataclass(frozen=True, slots=True)
class Interval:
    """The integers from ``low`` to ``high``, both included; none where ``low`` is the larger."""

    low: int
    high: int

    def lies_in(self, other: Interval) -> bool:
        return self.low >= other.low and self.high <= other.high

    def joined(self, other: Interval) -> Interval:
        """Return the smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def cut(self, other: Interval) -> Interval:
        """Return what both hold."""
        return Interval(max(self.low, other.low), min(self.high, other.high))


def is_integer(dtype: str) -> bool:
    """Say whether elements of this type are whole numbers; bool is not counted."""
    return dtype.startswith(("int", "uint"))


def of_type(dtype: str) -> Interval:
    """Return what a type of integers, or bool, can hold."""
    if dtype == "bool":
        return Interval(0, 1)
    limits = np.iinfo(dtype)
    return Interval(int(limits.min), int(limits.max))


def of_array(array: Array) -> Interval:
    """Return what a constant holds; it has one element or more."""
    return Interval(int(array.min()), int(array.max()))


Given = Sequence[Interval | None]
"""What each input can hold; None for an input that is left out or holds no integers."""
Rule = Callable[[Node, Given], Interval | None]


def of_output(node: Node, number: int, dtype: str, given: Given) -> Interval:
    """Return what output ``number`` of a node can hold, an output of integers of ``dtype``."""
    everything = of_type(dtype)
    rule = _RULES.get(node.operator) if number == 0 else _OTHER_OUTPUTS.get(node.operator)
    found = None if rule is None else rule(node, given)
    # What does not fit wraps around, and can be anything.
    return found if found is not None and found.lies_in(everything) else everything


def _handed_on(_node: Node, given: Given) -> Interval | None:
    return given[0]


def _any_of(_node: Node, given: Given) -> Interval | None:
    """Return what elements taken from several operands can be."""
    known = [each for each in given if each is not None]
    if not known or len(known) < len(given):
        return None
    return Interval(min(each.low for each in known), max(each.high for each in known))


def _chosen(node: Node, given: Given) -> Interval | None:
    return _any_of(node, given[1:])


def _scattered(node: Node, given: Given) -> Interval | None:
    if node.attribute("reduction", "none") in ("add", "mul"):
        return None
    return _any_of(node, [given[0], given[2]])


def _along(node: Node, _given: Given) -> Interval:
    """Return a place along an axis."""
    extents = node.shape(0)
    return Interval(0, extents[int(node.attribute("axis", 0)) % len(extents)] - 1)


def _rank(node: Node, _given: Given) -> Interval:
    extents = node.shape(0)
    return Interval(0, extents[int(node.attribute("axis", -1)) % len(extents)] - 1)


def _anywhere(node: Node, _given: Given) -> Interval:
    return Interval(0, math.prod(node.shape(0)) - 1)


def _sum(_node: Node, given: Given) -> Interval | None:
    a, b = given
    return None if a is None or b is None else Interval(a.low + b.low, a.high + b.high)


def _difference(_node: Node, given: Given) -> Interval | None:
    a, b = given
    return None if a is None or b is None else Interval(a.low - b.high, a.high - b.low)


def _product(_node: Node, given: Given) -> Interval | None:
    a, b = given
    if a is None or b is None:
        return None
    ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Interval(min(ends), max(ends))


def _remainder(node: Node, given: Given) -> Interval | None:
    a, b = given
    if a is None or b is None or b.low < 1:
        return None
    least = 1 - b.high if int(node.attribute("fmod", 0)) and a.low < 0 else 0
    return Interval(least, b.high - 1)


def _quotient(_node: Node, given: Given) -> Interval | None:
    a, b = given
    if a is None or b is None or b.low < 1 or a.low < 0:
        return None
    return Interval(a.low // b.high, a.high // b.low)


def _largest(_node: Node, given: Given) -> Interval | None:
    known = [each for each in given if each is not None]
    if len(known) < len(given):
        return None
    return Interval(max(each.low for each in known), max(each.high for each in known))


def _smallest(_node: Node, given: Given) -> Interval | None:
    known = [each for each in given if each is not None]
    if len(known) < len(given):
        return None
    return Interval(min(each.low for each in known), min(each.high for each in known))


def _clipped(_node: Node, given: Given) -> Interval | None:
    """Return what is left of the first operand: raised to the second, then lowered to the third."""
    data, low, high = (*given, None, None)[:3]
    if data is None:
        return None
    bottom, top = data.low, data.high
    if low is not None:
        bottom, top = max(bottom, low.low), max(top, low.high)
    if high is not None:
        bottom, top = min(bottom, high.low), min(top, high.high)
    return Interval(bottom, top)


def _masked(_node: Node, given: Given) -> Interval | None:
    """Return what bits two numbers share: no more than a number of them without a sign has."""
    tops = [each.high for each in given if each is not None and each.low >= 0]
    return Interval(0, min(tops)) if tops else None


def _rectified(_node: Node, given: Given) -> Interval | None:
    data = given[0]
    return None if data is None else Interval(max(data.low, 0), max(data.high, 0))


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        (
            *("Cast", "CastLike", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements"),
            *("GatherND", "Identity", "MaxPool", "ReduceMax", "ReduceMin", "Reshape"),
            *("ReverseSequence", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "TopK"),
            *("Transpose", "Unsqueeze"),
        ),
        _handed_on,
    ),
    **dict.fromkeys(("ArgMax", "ArgMin"), _along),
    **dict.fromkeys(("ScatterElements", "ScatterND"), _scattered),
    "Add": _sum,
    "BitwiseAnd": _masked,
    "Clip": _clipped,
    "Concat": _any_of,
    "Div": _quotient,
    "Max": _largest,
    "Min": _smallest,
    "Mod": _remainder,
    "Mul": _product,
    "Relu": _rectified,
    "Sub": _difference,
    "Where": _chosen,
}
_OTHER_OUTPUTS: Mapping[str, Rule] = {"MaxPool": _anywhere, "Split": _handed_on, "TopK": _rank}
