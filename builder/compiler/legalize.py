"""Lowerings of our own, where TVM's differ from ONNX or are slower than need be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
from tvm import relax, te, tirx


def legalize(mod: tvm.IRModule, _facts: object) -> tvm.IRModule:
    """Lower every Relax operator to a kernel."""
    return relax.transform.LegalizeOps(_OWN)(mod)


def _clip(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Clip by comparisons that a NaN fails: it stays NaN, as in ONNX, at the same speed."""
    low, high = (float(bound.value) for bound in call.args[1:])

    def compute(data: te.Tensor) -> te.Tensor:
        def element(*at: Any) -> Any:
            value = data[at]
            least, most = (tirx.const(bound, data.dtype) for bound in (low, high))
            raised = tirx.Select(value < least, least, value)
            return tirx.Select(value > most, most, raised)

        return te.compute(data.shape, element, name="clip")

    return builder.call_te(compute, call.args[0], primfunc_name_hint="clip")


_OWN: dict[str, Callable[[relax.BlockBuilder, relax.Call], relax.Expr]] = {"relax.clip": _clip}
