"""Check inputs, and what ONNX Runtime makes of them: the truth a bundle is held to."""

from __future__ import annotations

import ctypes
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from builder.errors import IntegrityError, ModelRefused, UsageError
from builder.model.tensor import TensorSpec

Arrays = dict[str, npt.NDArray[Any]]


NUDGE = 1e-6
"""Of an input's largest value: some roundings of float32."""


def nudged(inputs: Arrays) -> Arrays:
    """Return inputs that differ from ``inputs`` by no more than arithmetic may, up and down."""
    return {
        name: _nudged(array) if array.dtype.kind == "f" else array for name, array in inputs.items()
    }


def _nudged(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    finite = np.abs(array[np.isfinite(array)].astype(np.float64))
    step = NUDGE * float(finite.max(initial=0.0))
    ways = np.where(np.arange(array.size) % 2, step, -step).reshape(array.shape)
    return np.asarray(array + ways, array.dtype)  # a sum of arrays without axes is none


def read_npz(path: Path) -> Arrays:
    """Return the arrays of an .npz by name. Raises ``UsageError`` (``bad-inputs``)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            "not a readable .npz file", reason="bad-inputs", where=path.name, why=str(error)[:200]
        ) from None


def given_inputs(path: Path, specs: Sequence[TensorSpec]) -> Arrays:
    """Read the user's check inputs from an .npz; its names, types and shapes must be the model's.

    Raises ``UsageError`` naming the first that is not.
    """
    arrays = read_npz(path)
    for spec in specs:
        found = arrays.get(spec.name)
        if spec.dtype == "bfloat16" and found is not None and found.dtype == np.uint16:
            arrays[spec.name] = found.view(ml_dtypes.bfloat16)  # .npz has no such type, only bits
    missing = [spec.name for spec in specs if spec.name not in arrays]
    surplus = sorted(set(arrays) - {spec.name for spec in specs})
    if missing or surplus:
        raise UsageError(
            "the check inputs are not the model's",
            reason="bad-inputs",
            where=path.name,
            why=f"missing: {missing}, surplus: {surplus}",
        )
    for spec in specs:
        found = arrays[spec.name]
        if found.dtype != np.dtype(spec.dtype) or found.shape != spec.shape:
            raise UsageError(
                f"check input {spec.name!r} is {found.dtype.name} {list(found.shape)}",
                reason="bad-inputs",
                where=path.name,
                why=f"the model takes {spec.dtype} {list(spec.shape)}",
            )
    return arrays


class UsersModel:
    """The user's own model on ONNX Runtime, one thread.

    ``as_written`` has it compute node by node, with nothing fused. Raises ``ModelRefused`` where
    ONNX Runtime does not take the model.
    """

    def __init__(self, model: Path, *, as_written: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if as_written:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # Packed copies of the weights double the memory of a large model for one run's sake.
        options.add_session_config_entry("session.disable_prepacking", "1")
        with _its_refusals(_LOADING):
            self._session = onnxruntime.InferenceSession(
                str(model), options, providers=["CPUExecutionProvider"]
            )

    def outputs(self, inputs: Arrays, specs: Sequence[TensorSpec]) -> Arrays:
        """Return the outputs by name.

        Raises ``ModelRefused`` where ONNX Runtime does not run it on these inputs,
        ``IntegrityError`` where outputs are not of the shape that the plan expects.
        """
        names = [spec.name for spec in specs]
        with _its_refusals(_RUNNING):
            feed = {name: as_ort_value(array) for name, array in inputs.items()}
            values = [array_of(v) for v in self._session.run_with_ort_values(names, feed)]
        outputs = {s.name: _numbered(v, s) for s, v in zip(specs, values, strict=True)}
        for spec in specs:
            if outputs[spec.name].shape != spec.shape:
                raise IntegrityError(
                    f"output {spec.name!r} has another shape in ONNX Runtime than in the plan",
                    reason="shape-disagreement",
                    why=f"{list(outputs[spec.name].shape)} against {list(spec.shape)}",
                )
        return outputs


@contextmanager
def _its_refusals(remedy: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
        raise _not_run(error, remedy) from None


_LOADING = "see that a session of onnxruntime loads it: no inputs would change that"
_RUNNING = "if seeded inputs do not suit the model, give real ones: --inputs FILE.npz"
_MISSING = "export it with operators and types that onnxruntime has for CPUs"


def _not_run(error: Exception, remedy: str) -> ModelRefused:
    said = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "bad_alloc" in said or "Failed to allocate" in said:
        return ModelRefused(
            "ONNX Runtime has not the memory to run this model, so nothing could verify it",
            reason="too-large",
            why=said[:300] or None,
            remedy="free some memory, or build where there is more",
        )
    return ModelRefused(
        "ONNX Runtime does not run this model, so nothing could verify it",
        reason="reference-failed",
        why=said[:300],
        remedy=_MISSING if "NOT_IMPLEMENTED" in said else remedy,
    )


def _numbered(value: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    """Return texts as the indices that the plan has for them, and numbers as they are."""
    if not spec.labels:
        return value
    index = {label: place for place, label in enumerate(spec.labels)}
    found = [index.get(text, -1) for text in value.reshape(-1).tolist()]
    if -1 in found:
        raise IntegrityError(
            f"output {spec.name!r} is a text in ONNX Runtime that the plan does not know",
            reason="label-disagreement",
        )
    return np.asarray(found, np.int64).reshape(value.shape)


def as_ort_value(array: npt.NDArray[Any]) -> Any:
    """Return an array for ONNX Runtime, which takes bfloat16 as its bits only."""
    if array.dtype == ml_dtypes.bfloat16:
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            array.view(np.uint16), onnx.TensorProto.BFLOAT16
        )
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def array_of(value: Any) -> npt.NDArray[Any]:
    """Return what an ``OrtValue`` holds; its own ``numpy()`` knows no bfloat16."""
    if value.data_type() != "tensor(bfloat16)":
        return np.asarray(value.numpy())
    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(raw, ml_dtypes.bfloat16).reshape(value.shape())


def storable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what .npy can hold: the format has no bfloat16, so its bits stand as uint16."""
    bits = array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array
    return np.asarray(bits, order="C")


def _typed(value: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    if spec.dtype == "bfloat16" and value.dtype == np.uint16:
        return value.view(ml_dtypes.bfloat16)
    return value
