"""One case through the product's own Prepare and Compile."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.pipeline import compile_model
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.errors import BoardwrightError
from builder.model.binding import Binding
from builder.model.target import Cpu, Platform
from builder.package_files import templates_root
from ci.conformance.cases import Case
from ci.conformance.farm import Answer
from ci.conformance.opsets import implemented
from ci.conformance.reference import excluded

GIVEN = "given"
"""The set of inputs that comes with a test."""


def compiling(case: Case, platform: Platform, cpu: Cpu, symbols: str) -> Callable[[Path], Answer]:
    """Return the job that judges, prepares and compiles ``case``.

    Its answer has ``verdict`` "excluded", "refused", "failed" or "compiled", and ``reason``.
    """

    def work(folder: Path) -> Answer:
        known = implemented(case)
        why = excluded(known)
        if why:
            return {"verdict": "excluded", "reason": why}
        try:
            _compile(known, platform, cpu, symbols, folder)
        except BoardwrightError as failure:
            verdict = "refused" if failure.exit_code == 3 else "failed"
            return {
                "verdict": verdict,
                "reason": f"{failure.reason}: {failure}",
                "why": failure.why,
            }
        except Exception as error:  # a bug of ours is a result here
            traceback.print_exc()
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return {"verdict": "failed", "reason": reason}
        return {"verdict": "compiled"}

    return work


def _compile(case: Case, platform: Platform, cpu: Cpu, symbols: str, folder: Path) -> None:
    source, given, frozen = (folder / name for name in ("source.onnx", "given.npz", "frozen.npz"))
    onnx.save(case.model, source)
    fed: dict[str, Any] = {n: _storable(np.asarray(value)) for n, value in case.fed.items()}
    known: dict[str, Any] = {n: _number(np.asarray(value)) for n, value in case.known.items()}
    np.savez(given, **fed)
    np.savez(frozen, **known)
    prepared, compiled = folder / "prepared", folder / "compiled"
    prepared.mkdir()
    compiled.mkdir()
    shapes = tuple((name, np.shape(value)) for name, value in case.inputs.items())
    prepare(
        source,
        binding=Binding(shapes=shapes),
        frozen=frozen,
        given=given,
        seed=0,
        output=prepared,
        log=print,
    )
    compile_model(
        prepared,
        platform=platform,
        cpu=cpu,
        templates=templates_root(),
        output=compiled,
        log=print,
        symbols=symbols,
    )
    _write_raw_inputs(prepared, folder / GIVEN)


def _storable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def _number(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a value to freeze in a type that .npz has: only its number counts."""
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _write_raw_inputs(prepared: Path, folder: Path) -> None:
    folder.mkdir()
    for number, spec in enumerate(read_signature(prepared).inputs):
        array = np.load(prepared / "check" / "inputs" / f"{spec.file}.npy")
        (folder / f"in{number}.bin").write_bytes(np.ascontiguousarray(array).tobytes())
