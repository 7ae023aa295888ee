"""Run a model library on one set of inputs after the other: ``hostile_trials.py FOLDER``.

FOLDER holds ``libmodel.so``, ``share/weights.bin`` and ``trials.npz``: arrays ``NUMBER/INPUT``.
``answers.npz`` gets ``NUMBER/OUTPUT``, or ``NUMBER`` with the library's words. Outputs lie between
canaries, which must live; a process of its own, for the library may take it down.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
from boardwright_model import (  # type: ignore[import-not-found]
    Model,
    ModelError,
    Status,
    TensorSpec,
)

GAP = 4096
CANARY = 0xA5


def fenced(spec: TensorSpec) -> tuple[Any, Any]:
    """Return a 64-byte aligned array for an output, and the memory around it."""
    size = int(np.prod(spec.shape)) * spec.dtype.itemsize
    memory = np.full(2 * GAP + size + 64, CANARY, np.uint8)
    start = GAP + -(memory.ctypes.data + GAP) % 64
    return memory[start : start + size].view(spec.dtype).reshape(spec.shape), memory


def is_intact(memory: Any, array: Any) -> bool:
    first = array.ctypes.data - memory.ctypes.data
    around = (memory[:first], memory[first + array.nbytes :])
    return all(bool((part == CANARY).all()) for part in around)


def answer(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    fences = {spec.name: fenced(spec) for spec in model.outputs}
    before = {name: array.tobytes() for name, array in inputs.items()}
    out = {name: array for name, (array, _) in fences.items()}
    try:
        model.run(inputs, out=out)
        said = out
    except ModelError as error:
        assert error.status == Status.VALUE, error.status
        said = {"": np.array(str(error))}
    assert all(is_intact(memory, array) for array, memory in fences.values()), "a stray byte"
    assert all(inputs[name].tobytes() == held for name, held in before.items()), "a stray input"
    return said


def main(folder: Path) -> None:
    ctypes.CDLL("libm.so.6", mode=ctypes.RTLD_GLOBAL)
    trials: dict[int, dict[str, Any]] = {}
    with np.load(folder / "trials.npz") as archive:
        for key in archive.files:
            number, name = key.split("/", 1)
            trials.setdefault(int(number), {})[name] = archive[key]
    answers = {}
    with Model(bundle=folder, library=folder / "libmodel.so", threads=1) as model:
        for number, inputs in sorted(trials.items()):
            print(number, flush=True)  # the last one seen is the one it died of
            for name, value in answer(model, inputs).items():
                answers[f"{number}/{name}"] = value
    np.savez(folder / "answers.npz", **answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
