"""The user's own model beside the prepared one, with the constants that inputs were frozen to."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np

from builder.compiler.prepare.check_data import Arrays, storable

AS_GIVEN = "as-given.onnx"
"""Without its weights: they lie in the prepared model's."""

_CONSTANTS = "frozen"
_LIST = "constants.json"


def write_as_given(folder: Path, model: bytes, constants: Arrays) -> Path:
    """Write the model where its weights are, for ONNX Runtime to map instead of copy them."""
    (folder / AS_GIVEN).write_bytes(model)
    (folder / _CONSTANTS).mkdir()
    listed = [[name, array.dtype.name] for name, array in constants.items()]
    (folder / _CONSTANTS / _LIST).write_text(json.dumps(listed) + "\n", encoding="utf-8")
    for number, array in enumerate(constants.values()):
        np.save(folder / _CONSTANTS / f"{number}.npy", storable(array))
    return folder / AS_GIVEN


def read_constants(folder: Path) -> Arrays:
    """Return what inputs were frozen to, by name."""
    listed = json.loads((folder / _CONSTANTS / _LIST).read_text(encoding="utf-8"))
    arrays = {}
    for number, (name, dtype) in enumerate(listed):
        array = np.load(folder / _CONSTANTS / f"{number}.npy", allow_pickle=False)
        arrays[name] = array.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else array
    return arrays
