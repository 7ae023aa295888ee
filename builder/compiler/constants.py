"""Constant folding in numpy.

TVM's own folding compiles every expression it evaluates with LLVM (28 s on a DenseNet); the handful
of operators that exporters wrap around weights need no compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

from builder.compiler import tensors

Array = npt.NDArray[Any]


def fold(mod: tvm.IRModule, _facts: object) -> tvm.IRModule:
    """Evaluate main's operators on constants: reshapes, transposes, casts of weights."""
    mod = mod.clone()
    mod["main"] = _Folder(mod).visit_expr(mod["main"])
    return relax.transform.DeadCodeElimination()(mod)


def _shape(call: relax.Call) -> tuple[int, ...]:
    return tuple(int(extent) for extent in call.ty.shape)


def _transposed(call: relax.Call, value: Array) -> Array:
    axes = call.attrs.axes
    return value.transpose(None if axes is None else [int(axis) for axis in axes])


_EVALUATORS: dict[str, Callable[[relax.Call, Array], Array]] = {
    "relax.reshape": lambda call, value: value.reshape(_shape(call)),
    "relax.expand_dims": lambda call, value: value.reshape(_shape(call)),
    "relax.squeeze": lambda call, value: value.reshape(_shape(call)),
    "relax.flatten": lambda call, value: value.reshape(_shape(call)),
    "relax.permute_dims": _transposed,
    "relax.broadcast_to": lambda call, value: np.broadcast_to(value, _shape(call)),
    "relax.astype": lambda call, value: value.astype(str(call.ty.dtype)),
}


@relax.expr_functor.mutator
class _Folder(relax.PyExprMutator):  # type: ignore[misc]
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        evaluate = _EVALUATORS.get(getattr(call.op, "name", ""))
        operand = self._constant(call.args[0]) if evaluate and call.args else None
        if evaluate is None or operand is None:
            return call
        return tensors.constant(np.ascontiguousarray(evaluate(call, operand)).reshape(_shape(call)))

    def _constant(self, value: relax.Expr) -> Array | None:
        if isinstance(value, relax.Var):
            value = self.lookup_binding(value)
        return tensors.value(value)
