"""Elementwise operators stay in blocks where their operands are or can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from builder.compiler import tensors
from builder.compiler.blocking.entering import in_blocks
from builder.compiler.blocking.forms import Blocked, Forms, shape
from builder.compiler.kernels.conv import round_up

UNARY = frozenset(
    {
        "relax.nn.relu",
        "relax.nn.relu6",
        "relax.nn.leakyrelu",
        "relax.nn.gelu",
        "relax.nn.gelu_tanh",
        "relax.nn.silu",
        "relax.sigmoid",
        "relax.tanh",
        "relax.erf",
        "relax.exp",
        "relax.abs",
        "relax.negative",
        "relax.sqrt",
        "relax.clip",
    }
)
BINARY = frozenset(
    {
        "relax.add",
        "relax.subtract",
        "relax.multiply",
        "relax.divide",
        "relax.maximum",
        "relax.minimum",
    }
)


_NOT_FINITE = frozenset({"relax.exp", "relax.sqrt", "relax.divide"})
"""What may make padding infinite or NaN, which no zero weight of a later layer takes back."""


def unary(forms: Forms, _var: relax.Var, call: relax.Call) -> Blocked | None:
    """Apply an operator of one tensor in the form that its operand has."""
    if call.args[0] not in forms.blocked:
        return None
    data = forms.blocked[call.args[0]]
    if call.op.name in _NOT_FINITE and data.channels % forms.block:
        return None
    made = relax.Call(call.op, [data.value, *call.args[1:]], call.attrs)
    return Blocked(forms.emit(made), data.channels)


def binary(forms: Forms, _var: relax.Var, call: relax.Call) -> Blocked | None:
    """Apply an operator of two tensors in blocks where one is blocked and the other can be."""
    blocked = [side for side in call.args if side in forms.blocked]
    if not blocked:
        return None
    anchor = max(blocked, key=lambda side: math.prod(shape(side)))
    by_constant = forms.value(call.args[1]) is not None  # whose padding is ones
    padded = forms.blocked[anchor].channels % forms.block != 0
    if call.op.name in _NOT_FINITE and padded and not by_constant:
        return None
    sides = [_operand(forms, side, anchor) for side in call.args]
    if any(side is None for side in sides):
        return None
    made = relax.Call(call.op, sides, call.attrs)
    return Blocked(forms.emit(made), forms.blocked[anchor].channels)


def _operand(forms: Forms, side: relax.Expr, anchor: relax.Var) -> relax.Expr | None:
    """Return one side of a binary operator beside ``anchor``, blocked, where it can be."""
    value = forms.value(side)
    if value is not None:
        return _per_channel(forms, value, shape(anchor))
    if isinstance(side, relax.Var):
        if side in forms.blocked and _is_per_channel(shape(side), shape(anchor)):
            return forms.blocked[side].value
        return in_blocks(forms, side).value if shape(side) == shape(anchor) else None
    return None


def _per_channel(
    forms: Forms, value: npt.NDArray[Any], anchor: tuple[int, ...]
) -> relax.Expr | None:
    """Return a constant that is one number, or one a channel, in blocks."""
    if value.size == 1:
        return tensors.constant(value.reshape(()))
    if (1,) * (len(anchor) - value.ndim) + value.shape != (1, anchor[1], *[1] * (len(anchor) - 2)):
        return None
    # Ones: a padding channel must not become 0/0, and nobody looks at what it does become.
    full = np.ones(round_up(anchor[1], forms.block), value.dtype)
    full[: anchor[1]] = value.reshape(-1)
    return tensors.constant(full.reshape(1, -1, 1, 1, forms.block))


def _is_per_channel(side: tuple[int, ...], anchor: tuple[int, ...]) -> bool:
    """Tell whether a shape broadcasts against ``anchor`` without touching the channels."""
    return (
        len(side) == len(anchor)
        and side[1] == anchor[1]
        and all(a in (1, b) for a, b in zip(side, anchor, strict=True))
    )
