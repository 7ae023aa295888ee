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
from builder.compiler.kernels import dispatch
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.compiler.vector_unit import VectorUnit
from builder.model.target import Cpu, Libc, Platform
from builder.model.tensor import TensorSpec

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
    facts, mod = _optimised(prepared, lanes, cores, log)
    if unit is None:
        mod = passes.schedule(mod, facts.targets[0], facts)
    else:
        mod = dispatch.schedule_all(mod, unit, lambda _: cores > 1, log.append)
    kernels = sorted(variable.name_hint for variable in mod.functions)
    found, expected = _run(mod, facts.targets[0], prepared)
    pairs = list(zip(found, expected, strict=True))
    return {
        "log": log,
        "kernels": kernels,
        "outputs": [_error(here, there) for here, there in pairs],
        "nan_agrees": [bool((np.isnan(here) == np.isnan(there)).all()) for here, there in pairs],
    }


def computed(
    made: onnx.ModelProto, folder: Path, inputs: Mapping[str, Any], *, lanes: int = 8
) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
    """Return the outputs of ``made`` for ``inputs``, and those that ONNX Runtime makes."""
    prepared = prepared_folder(made, folder, inputs)
    facts, mod = _optimised(prepared, lanes, 1, [])
    return _run(passes.schedule(mod, facts.targets[0], facts), facts.targets[0], prepared)


def _optimised(
    prepared: Path, lanes: int, cores: int, log: list[str]
) -> tuple[passes.Facts, tvm.IRModule]:
    cpu = Cpu(mcpu=VERSIONS[lanes], mattr=(), cores=cores, features=())
    target = codegen.llvm_target(PLATFORM, cpu)
    facts = passes.Facts(platform=PLATFORM, cpu=cpu, targets=(target,), log=log.append)
    model = importing.import_model(importing.read_prepared(prepared), prepared)
    return facts, passes.run(model, facts)


def _run(
    mod: tvm.IRModule, target: tvm.target.Target, prepared: Path
) -> tuple[list[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
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
    machine = relax.VirtualMachine(program, tvm.cpu())
    signature = read_signature(prepared)
    feed = [tvm.runtime.tensor(_load(prepared, "inputs", spec)) for spec in signature.inputs]
    made_here = machine["main"](*feed)
    results = [made_here] if hasattr(made_here, "numpy") else list(made_here)
    found = [result.numpy() for result in results]
    return found, [_load(prepared, "expected", spec) for spec in signature.outputs]


def prepared_folder(
    made: onnx.ModelProto, folder: Path, inputs: Mapping[str, Any] | None = None
) -> Path:
    source, prepared, given = folder / "source.onnx", folder / "prepared", folder / "given.npz"
    onnx.save(made, source)
    prepared.mkdir()
    if inputs is not None:
        np.savez(given, **inputs)
    prepare(
        source,
        seed=3,
        output=prepared,
        log=lambda _: None,
        given=None if inputs is None else given,
    )
    return prepared


def _load(prepared: Path, kind: str, spec: TensorSpec) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(prepared / "check" / kind / f"{spec.file}.npy")
    return array


def _error(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    assert found.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return float(np.abs(found - expected).max(initial=0.0)) / scale
