"""Division of integers with a sign that never traps.

The least number by -1 has no quotient of its type, and processors trap on it, for the remainder
too. By 1 instead, the quotient is the least number again, which is what wraps around, and the
remainder 0. That no divisor is 0 is checked before (``checks``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tvm
from tvm import te, tirx

Divide = Callable[[Any, Any], Any]

DIVISIONS: dict[str, Divide] = {
    "relax.divide": tirx.truncdiv,
    "relax.floor_mod": tirx.floormod,
    "relax.mod": tirx.truncmod,
}
"""Relax operator -> what it is of two integers."""


def compute(divide: Divide, shape: Sequence[int]) -> Callable[[te.Tensor, te.Tensor], te.Tensor]:
    """Return ``divide`` element by element over operands that are broadcast to ``shape``."""

    def of(left: te.Tensor, right: te.Tensor) -> te.Tensor:
        bits = tirx.const(1 << (int(tvm.DataType(left.dtype).bits) - 1), f"u{left.dtype}")

        def element(*at: Any) -> Any:
            number, divisor = _element(left, at), _element(right, at)
            # As bits: TVM's simplifier believes that no int32 is the least one.
            is_least = tirx.reinterpret(f"u{left.dtype}", number) == bits
            traps = tirx.all(is_least, divisor == tirx.const(-1, left.dtype))
            return divide(number, tirx.Select(traps, tirx.const(1, left.dtype), divisor))

        return te.compute(tuple(shape), element, name="divide")

    return of


def _element(operand: te.Tensor, at: Sequence[Any]) -> Any:
    extents = [int(extent) for extent in operand.shape]
    own = at[len(at) - len(extents) :]
    return operand[tuple(0 if e == 1 else i for e, i in zip(extents, own, strict=True))]
