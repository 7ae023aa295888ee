"""Small local buffers never reach the runtime's workspace; large ones do."""

from __future__ import annotations

import pytest
import tvm
from tvm import s_tir, te

from builder.compiler import stack


def kernel(row: int) -> tvm.IRModule:
    """Return a parallel kernel that keeps one row of so many numbers in a local buffer."""
    source = te.placeholder((64, row), name="source")
    twice = te.compute((64, row), lambda i, j: source[i, row - 1 - j] * 2.0, name="twice")
    total = te.compute((64, row), lambda i, j: twice[i, j] + twice[i, row - 1 - j], name="total")
    schedule = s_tir.Schedule(te.create_prim_func([source, total]))
    around, _ = schedule.get_loops(schedule.get_sblock("total"))
    local = schedule.get_sblock("twice")
    schedule.compute_at(local, around)
    schedule.set_scope(local, 0, "local")
    schedule.parallel(around)
    return schedule.mod


@pytest.mark.parametrize(("row", "calls"), [(16, False), (1024, False), (1025, True)])
def test_where_local_buffers_lie(row: int, calls: bool) -> None:
    stack.register()
    built = tvm.tirx.build(kernel(row), target="llvm", pipeline=stack.PIPELINE)
    assert ("AllocWorkspace" in built.inspect_source("ll")) == calls
