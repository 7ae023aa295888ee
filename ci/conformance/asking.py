"""Other data for a compiled case, and what ONNX Runtime makes of each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.check_data import array_of, nudged
from builder.compiler.prepare.tolerance import tolerance
from builder.compiler.signature import read_signature
from builder.model.tensor import TensorSpec
from ci.conformance.cases import Case
from ci.conformance.farm import Answer
from ci.conformance.opsets import implemented, session
from ci.conformance.reference import ort_value, retyped

Arrays = dict[str, npt.NDArray[Any]]
Sets = Mapping[str, Arrays]
Make = Callable[[Case], Iterable[tuple[str, Arrays]]]
"""Returns sets of inputs for a case, by name."""


def asking(case: Case, make: Make, prepared: Path) -> Callable[[Path], Answer]:
    """Return the job that makes sets of inputs and asks ONNX Runtime for the outputs of each.

    In the job's folder each set has a folder of its own: ``in*.bin`` as the library takes them,
    ``want*.bin`` as ONNX Runtime gives them, and ``asked.json``: ``limits``, the absolute and
    relative tolerance by output, or ``refused`` and why. Its answer has the ``sets``.
    """

    def work(folder: Path) -> Answer:
        signature = read_signature(prepared)
        sets = dict(make(case))
        for name, arrays in sets.items():
            (folder / name).mkdir(exist_ok=True)
            for number, spec in enumerate(signature.inputs):
                _write(folder / name / f"in{number}.bin", arrays[spec.name])
        known = implemented(case)
        reference = _Reference(
            inputs=known.inputs,
            outputs=signature.outputs,
            fused=session(known.model),
            plain=session(known.model, as_written=True),
        )
        _ask_all(reference, sets, folder)
        return {"sets": list(sets)}

    return work


def _ask_all(reference: _Reference, sets: Sets, folder: Path) -> None:
    """Ask in a process of its own, which ONNX Runtime may end: then go on with the next set."""
    left = list(sets)
    while left:
        pid = os.fork()
        if pid == 0:
            for name in left:
                _note(folder / name, reference.ask(sets[name], folder / name))
            os._exit(0)
        os.waitpid(pid, 0)
        left = [name for name in left if not (folder / name / "asked.json").exists()]
        for name in left[:1]:
            _note(folder / name, {"refused": "ONNX Runtime dies of it"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """ONNX Runtime with a case's model: as it would run it, and node by node."""

    inputs: Mapping[str, Any]
    outputs: Sequence[TensorSpec]
    fused: Any
    plain: Any

    def ask(self, arrays: Arrays, folder: Path) -> Answer:
        """Write the outputs; return their tolerances, or why there are no outputs."""
        try:
            found = self._run(self.fused, arrays)
            again = [self._run(self.plain, arrays), self._run(self.plain, nudged(arrays))]
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            return {"refused": " ".join(str(error).split())[:160]}
        if any(found[spec.name].shape != spec.shape for spec in self.outputs):
            return {"refused": "an output's shape follows from data"}
        for number, spec in enumerate(self.outputs):
            _write(folder / f"want{number}.bin", found[spec.name])
        return {
            "limits": [
                asdict(tolerance(found[spec.name], [other[spec.name] for other in again]))
                for spec in self.outputs
            ]
        }

    def _run(self, loaded: Any, arrays: Arrays) -> Arrays:
        feed = {name: ort_value(value) for name, value in {**self.inputs, **arrays}.items()}
        names = [spec.name for spec in self.outputs]
        values = [array_of(value) for value in loaded.run_with_ort_values(names, feed)]
        return {
            spec.name: retyped(value, np.dtype(spec.dtype))
            for spec, value in zip(self.outputs, values, strict=True)
        }


def _note(folder: Path, what: Answer) -> None:
    (folder / "asked.json").write_text(json.dumps(what), encoding="utf-8")


def _write(path: Path, array: npt.NDArray[Any]) -> None:
    path.write_bytes(np.ascontiguousarray(array).tobytes())
