"""The place of the largest or smallest element of each row, for ArgMax, ArgMin and Hardmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax, te, tirx

Beats = Callable[[Any, Any], Any]
"""Says whether a value is taken for the one that was found before it."""


def argmax(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Return a kernel that finds the first of the largest elements."""
    return _walked(builder, call, "argmax", lambda new, old: new > old)


def argmin(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Return a kernel that finds the first of the smallest elements."""
    return _walked(builder, call, "argmin", lambda new, old: new < old)


def _walked(builder: relax.BlockBuilder, call: relax.Call, name: str, beats: Beats) -> relax.Expr:
    keep, rank = bool(call.attrs.keepdims), len(call.args[0].ty.shape)
    axis = int(call.attrs.axis) % rank

    def compute(data: te.Tensor) -> te.Tensor:
        return _places(data, axis, keep, beats)

    return builder.call_te(compute, call.args[0], primfunc_name_hint=name)


def _places(data: te.Tensor, axis: int, keep: bool, beats: Beats) -> te.Tensor:
    """Return the int64 index at which a walk along ``axis`` ends that begins at the first element.

    So a row of infinities has an index too, and a NaN counts only where it stands first, as in ONNX
    Runtime. TVM's own walk begins at index -1 and the smallest finite number.
    """
    step = te.reduce_axis((0, data.shape[axis]), "step")
    shape = [*data.shape[:axis], *([1] if keep else []), *data.shape[axis + 1 :]]

    def start(index: str, value: str) -> Any:
        return tirx.const(-1, index), tirx.const(0, value)

    def better(best: Any, other: Any) -> Any:
        taken = tirx.any(best[0] < 0, beats(other[1], best[1]))
        return tuple(tirx.Select(taken, new, old) for new, old in zip(other, best, strict=True))

    reducer = te.comm_reducer(better, start, name="place_of_extreme")

    def pair(*at: Any) -> Any:
        element = data(*at[:axis], step, *at[axis + keep :])
        return reducer((step.var.astype("int64"), element), axis=step)

    found = te.compute(shape, pair, name="places")
    return te.compute(shape, lambda *at: found[0](*at), name="place")
