"""A kernel that cannot be scheduled or compiled is told by the ONNX nodes that it computes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import tvm
from onnx import helper
from tvm import tirx

from builder.compiler.kernels import dispatch
from builder.compiler.pipeline import compile_model
from builder.compiler.prepare.pipeline import prepare
from builder.errors import BuildFailed
from builder.model.target import Cpu
from builder.package_files import templates_root
from tests.unit.compiler.execution import PLATFORM
from tests.unit.compiler.models import model

CPU = Cpu(mcpu="x86-64-v2", mattr=(), cores=1, features=())


def raises() -> None:
    raise ValueError("a stack trace\nno schedule for this")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("fail", "why"), [(raises, "no schedule for this"), (dies, "ended with -9")]
)
def test_the_nodes_of_the_failing_kernel_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], None], why: str
) -> None:
    schedule_all = dispatch.schedule_all

    def faulty(mod: tvm.IRModule, *rest: Any) -> tvm.IRModule:
        for function in mod.functions.values():
            if isinstance(function, tirx.PrimFunc) and "softmax" in str(function):
                fail()
        return schedule_all(mod, *rest)

    monkeypatch.setattr(dispatch, "schedule_all", faulty)
    failure = compiled(tmp_path)
    assert (failure.reason, failure.where) == ("compiler-failed", "the softmax")
    assert why in str(failure.why)


def compiled(folder: Path) -> BuildFailed:
    """Compile softmax(x x) x; return the failure that this ends with."""
    nodes = [
        helper.make_node("MatMul", ["x", "x"], ["a"], name="the product"),
        helper.make_node("Softmax", ["a"], ["b"], name="the softmax"),
        helper.make_node("MatMul", ["b", "x"], ["y"], name="another product"),
    ]
    onnx.save(model(nodes, inputs={"x": [8, 8]}, outputs={"y": [8, 8]}), folder / "m.onnx")
    prepared, output = folder / "prepared", folder / "compiled"
    for each in (prepared, output):
        each.mkdir()
    prepare(folder / "m.onnx", seed=0, output=prepared, log=lambda _: None)
    with pytest.raises(BuildFailed) as caught:
        compile_model(
            prepared,
            platform=PLATFORM,
            cpu=CPU,
            templates=templates_root(),
            output=output,
            log=lambda _: None,
        )
    return caught.value
