"""Sums on the stack, where LLVM finds them registers.

TVM asks the runtime for the memory of every buffer, however small: a call for each row or tile, and
stores that cannot be left out because the runtime knows the address. Small local buffers stay on
the stack instead, in a TIR pipeline of its own name.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import tvm
from tvm import tirx

from builder.compiler import vector_math

PIPELINE = "boardwright"
"""The name to give to ``tvm.tirx.build`` and ``relax.build``."""

_LARGEST_BYTES = 4096
"""Of one buffer: a worker's whole stack may be 128 KB (musl)."""

_ON_STACK = {"disable_lower_builtin": tirx.IntImm("bool", 1)}
"""TVM's annotation of an allocation that code generation shall see."""


@cache
def register() -> None:
    """Make ``PIPELINE`` known to TVM."""
    tirx.register_tir_pipeline(PIPELINE, _passes)


def _passes() -> tuple[Any, Any, Any]:
    lower, finish_host, finish_device = tirx.get_tir_pipeline("default")
    return (
        tvm.transform.Sequential([lower, _keep_small_locals()]),
        lambda: _with_vector_math(finish_host()),
        finish_device,
    )


def _with_vector_math(finish: Any) -> Any:
    def finished(mod: tvm.IRModule, _context: Any) -> tvm.IRModule:
        return vector_math.linked(finish, mod)

    return tvm.transform.module_pass(finished, opt_level=0, name="LinkVectorMath")


def _keep_small_locals() -> Any:
    def keep(function: tirx.PrimFunc, _mod: Any, _context: Any) -> tirx.PrimFunc:
        return function.with_body(_kept(function.body))

    return tirx.transform.prim_func_pass(keep, opt_level=0)


def _kept(stmt: Any) -> Any:
    match stmt:
        case tirx.SeqStmt():
            return tirx.SeqStmt([_kept(each) for each in stmt.seq], stmt.span)
        case tirx.IfThenElse():
            other = None if stmt.else_case is None else _kept(stmt.else_case)
            return tirx.IfThenElse(stmt.condition, _kept(stmt.then_case), other, stmt.span)
        case tirx.AttrStmt():
            body = _kept(stmt.body)
            return tirx.AttrStmt(stmt.node, stmt.attr_key, stmt.value, body, stmt.span)
        case tirx.For():
            return _loop(stmt, _kept(stmt.body))
        case tirx.AllocBuffer() if _is_small_local(stmt.buffer):
            return tirx.AllocBuffer(stmt.buffer, {**stmt.annotations, **_ON_STACK}, stmt.span)
    return stmt


def _loop(loop: tirx.For, body: Any) -> tirx.For:
    return tirx.For(
        loop.loop_var,
        loop.min,
        loop.extent,
        loop.kind,
        body,
        loop.thread_binding,
        loop.annotations,
        loop.step,
        loop.span,
    )


def _is_small_local(buffer: tirx.Buffer) -> bool:
    if buffer.scope() != "local" or not all(isinstance(n, tirx.IntImm) for n in buffer.shape):
        return False
    lanes = tvm.DataType(str(buffer.dtype))
    size = math.prod(int(n) for n in buffer.shape) * int(lanes.bits * lanes.lanes) // 8
    return size <= _LARGEST_BYTES
