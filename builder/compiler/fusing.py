"""Chains of elementwise operators, cut before they are fused into expressions without end.

A fused kernel is one expression, in which an operand that is read twice is written out twice:
twenty activations in a row make a million copies of their input, and TVM visits each. What would
come to too many copies is computed by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import tvm
from tvm import relax, tirx

from builder.compiler import provenance

_MOST_COPIES = 100
"""Of what a kernel reads, written out in one expression."""

_ELEMENTWISE = 2
"""TVM's patterns up to this one: elementwise, broadcasting, injective."""
_OPAQUE = 8
"""TVM's pattern of an operator that nothing is fused with."""

_CALL_TIR = tvm.ir.Op.get("relax.call_tir")


def cut_long_chains(mod: tvm.IRModule, _facts: object) -> tvm.IRModule:
    """Make kernels opaque where fusing them would write out too many copies."""
    cuts = list(_cuts(mod))
    if not cuts:
        return mod
    cutter = _Cutter(mod, cuts)
    main = cutter.visit_expr(mod["main"])
    cut = cutter.builder_.get()
    cut["main"] = main
    return cut


def _cuts(mod: tvm.IRModule) -> Iterator[relax.Call]:
    """Yield the calls to be computed by themselves."""
    reads_of = cache(lambda callee: _reads(mod[callee]))
    calls = [
        (binding.var, binding.value, reads_of(binding.value.args[0]))
        for binding in provenance.bindings(mod["main"])
        if isinstance(binding.value, relax.Call) and binding.value.op.same_as(_CALL_TIR)
    ]
    stored = {
        operand
        for _, call, reads in calls
        if reads is None  # and so is never part of one expression with all that reads its operands
        for operand in call.args[1].fields
        if isinstance(operand, relax.Var)
    }
    copies: dict[relax.Var, int] = {}
    for var, call, reads in calls:
        if reads is None:
            continue
        written = sum(
            count * (copies.get(operand, 1) if isinstance(operand, relax.Var) else 1)
            for count, operand in zip(reads, call.args[1].fields, strict=False)
        )
        if written > _MOST_COPIES:
            yield call
        elif var not in stored:
            copies[var] = written


def _reads(kernel: tirx.PrimFunc) -> tuple[int, ...] | None:
    """Return how often an elementwise kernel reads each operand; None for other kernels."""
    pattern = kernel.attrs.get("op_pattern") if kernel.attrs else None
    if pattern is None or int(pattern) > _ELEMENTWISE:
        return None
    text = kernel.script()
    names = [str(param.name) for param in kernel.params[:-1]]
    stored = [line.partition(" = ")[2] for line in text.splitlines() if "] = " in line]
    body = "\n".join(stored)
    return tuple(len(re.findall(rf"\b{re.escape(name)}\[", body)) for name in names)


@relax.expr_functor.mutator
class _Cutter(relax.PyExprMutator):  # type: ignore[misc]
    def __init__(self, mod: tvm.IRModule, cuts: list[relax.Call]) -> None:
        super().__init__(mod)
        self._mod = mod
        self._cuts = cuts

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        is_cut = any(call.same_as(each) for each in self._cuts)
        call = self.visit_expr_post_order(call)
        if not is_cut:
            return call
        kernel = self._mod[call.args[0]].with_attr("op_pattern", _OPAQUE)
        name = f"{call.args[0].name_hint}_apart"
        return relax.Call(
            call.op,
            [self.builder_.add_func(kernel, name), *call.args[1:]],
            call.attrs,
            call.ty_args,
        )
