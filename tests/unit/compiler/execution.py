"""Run a compiled module in this process, on this CPU: kernels against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tvm
from tvm import relax

from builder.compiler import codegen, importing, passes, stack
from builder.compiler.checks import checked
from builder.compiler.kernels import dispatch
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.compiler.vector_unit import VectorUnit
from builder.model.target import Cpu, Libc, Platform
from builder.model.tensor import TensorSpec

Array = npt.NDArray[Any]

PLATFORM = Platform(arch="x86_64", libc=Libc(family="glibc", floor="2.17"))
VERSIONS = {4: "x86-64-v2", 8: "x86-64-v3", 16: "x86-64-v4"}

_LOWERING = (
    relax.transform.ToNonDataflow(),
    relax.transform.RemovePurityChecking(),
    relax.transform.CallTIRRewrite(),
    relax.transform.LowerAllocTensor(),
    relax.transform.LowerRuntimeBuiltin(),
    relax.transform.ComputePrimValue(),
    relax.transform.VMShapeLower(),
    relax.transform.AttachGlobalSymbol(),
)


def errors(
    made: onnx.ModelProto,
    folder: Path,
    *,
    lanes: int,
    cores: int = 1,
    unit: VectorUnit | None = None,
) -> dict[str, Any]:
    """Compile ``made`` for a CPU of so many lanes; return what was logged and each output's error.

    Schedules are those for ``unit`` where it is given: another CPU's, with as many lanes. An error
    is relative to the output's largest value. Keys: ``log`` (lines), ``kernels`` (names),
    ``outputs`` (floats), ``nan_agrees`` (whether the same elements are NaN).
    """
    log: list[str] = []
    prepared = prepared_folder(made, folder)
    machine, kernels = _machine(prepared, lanes, cores, unit, log)
    found, expected = _run(machine, prepared)
    pairs = list(zip(found, expected, strict=True))
    return {
        "log": log,
        "kernels": kernels,
        "outputs": [_error(here, there) for here, there in pairs],
        "nan_agrees": [bool((np.isnan(here) == np.isnan(there)).all()) for here, there in pairs],
    }


def results(
    made: onnx.ModelProto,
    folder: Path,
    inputs: Mapping[str, Array],
    *,
    lanes: int = 8,
) -> list[tuple[Array, Array]]:
    """Compile ``made`` and run it on ``inputs``: each output, and what ONNX Runtime says it is."""
    given = folder / "inputs.npz"
    np.savez(given, **dict[str, Any](inputs))
    prepared = prepared_folder(made, folder, given=given)
    machine, _ = _machine(prepared, lanes, 1, None, [])
    return list(zip(*_run(machine, prepared), strict=True))


def prepared_folder(made: onnx.ModelProto, folder: Path, *, given: Path | None = None) -> Path:
    source, prepared = folder / "source.onnx", folder / "prepared"
    onnx.save(made, source)
    prepared.mkdir()
    prepare(source, seed=3, output=prepared, log=lambda _: None, given=given)
    return prepared


def _machine(
    prepared: Path, lanes: int, cores: int, unit: VectorUnit | None, log: list[str]
) -> tuple[relax.VirtualMachine, list[str]]:
    """Compile a prepared model; return what runs it, and the names of its kernels."""
    cpu = Cpu(mcpu=VERSIONS[lanes], mattr=(), cores=cores, features=())
    target = codegen.llvm_target(PLATFORM, cpu)
    facts = passes.Facts(platform=PLATFORM, cpu=cpu, targets=(target,), log=log.append)
    mod = passes.run(importing.import_model(importing.read_prepared(prepared), prepared), facts)
    if unit is None:
        mod = passes.schedule(mod, target, facts)
    else:
        mod = dispatch.schedule_all(mod, unit, lambda _: cores > 1, log.append)
    kernels = sorted(variable.name_hint for variable in mod.functions)
    mod["main"] = _Unchecked().visit_expr(mod["main"])
    with target:
        for lowering in _LOWERING:
            mod = lowering(mod)
        stack.register()
        program = relax.build(
            mod,
            target=target,
            relax_pipeline=tvm.transform.Sequential([]),
            tir_pipeline=stack.PIPELINE,
        )
    return relax.VirtualMachine(program, tvm.cpu()), kernels


def _run(machine: relax.VirtualMachine, prepared: Path) -> tuple[list[Array], list[Array]]:
    signature = read_signature(prepared)
    feed = [tvm.runtime.tensor(_load(prepared, "inputs", spec)) for spec in signature.inputs]
    made_here = machine["main"](*feed)
    outputs = [made_here] if hasattr(made_here, "numpy") else list(made_here)
    expected = [_load(prepared, "expected", spec) for spec in signature.outputs]
    return [output.numpy() for output in outputs], expected


@relax.expr_functor.mutator
class _Unchecked(relax.PyExprMutator):  # type: ignore[misc]
    """Takes off the marks of operands to be checked, which TVM's own machine does not know."""

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = self.visit_expr_post_order(call)
        marked = isinstance(call.op, tvm.ir.Op) and call.op.name == checked.OPERATOR
        return call.args[0] if marked else call


def _load(prepared: Path, kind: str, spec: TensorSpec) -> Array:
    array: Array = np.load(prepared / "check" / kind / f"{spec.file}.npy")
    return array


def _error(found: Array, expected: Array) -> float:
    assert found.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return float(np.abs(found - expected).max(initial=0.0)) / scale
