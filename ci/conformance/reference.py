"""Whether a case counts: ONNX Runtime passes it, and its outputs can have fixed shapes."""

from __future__ import annotations

from typing import Any

import ml_dtypes  # noqa: F401  (teaches numpy the names of small floats)
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from builder.compiler.prepare.check_data import array_of
from ci.conformance.cases import Case
from ci.conformance.opsets import session

_PACKED = ("int2", "int4", "uint2", "uint4", "float4")

DATA_DEPENDENT = frozenset({"Compress", "NonMaxSuppression", "NonZero", "StringSplit", "Unique"})
"""Operators whose output shape follows from the values of their input."""


def excluded(case: Case) -> str | None:
    """Return why ``case`` does not count, or None where it does."""
    if not is_of_tensors(case):
        return "strings, sequences or optional values"
    if any(_is_packed(value) for value in (*case.inputs.values(), *case.outputs.values())):
        return "ONNX Runtime cannot exchange values of 2 or 4 bits with Python"
    if len(case.outputs) != len(case.model.graph.output):
        return "the test gives no values for some outputs"
    try:
        loaded = session(case.model)
        feed = {name: ort_value(value) for name, value in case.inputs.items()}
        names = [output.name for output in loaded.get_outputs()]
        found = [array_of(value) for value in loaded.run_with_ort_values(names, feed)]
    except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
        return "ONNX Runtime does not run it: " + " ".join(str(error).split())[:160]
    for expected, actual in zip(case.outputs.values(), found, strict=True):
        if not agrees(case, np.asarray(expected), retyped(actual, np.asarray(expected).dtype)):
            return "ONNX Runtime computes something else"
    dynamic = sorted({node.op_type for node in case.model.graph.node} & DATA_DEPENDENT)
    return f"shape depends on data: {', '.join(dynamic)}" if dynamic else None


def agrees(case: Case, expected: npt.NDArray[Any], actual: npt.NDArray[Any]) -> bool:
    """Tell whether an output is right by the test's own tolerance."""
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return False
    if expected.dtype.kind in "biu":
        return bool(np.array_equal(expected, actual))
    return bool(
        np.allclose(
            actual.astype(np.float64),
            expected.astype(np.float64),
            rtol=case.rtol,
            atol=case.atol,
            equal_nan=True,
        )
    )


def ort_value(array: Any) -> Any:
    """Return ``array`` as ONNX Runtime takes it, small floats included."""
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    if array.dtype.isbuiltin == 1:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    raw = array.view({1: np.uint8, 2: np.uint16}[array.dtype.itemsize])
    element = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(raw, element)


def retyped(array: npt.NDArray[Any], expected: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the bits that stand for a small float as what they are."""
    bits = array.dtype.itemsize == expected.itemsize and expected.isbuiltin != 1
    return array.view(expected) if bits else array


def is_of_tensors(case: Case) -> bool:
    """Say whether all that goes in and comes out is a tensor of numbers, by type and by value."""
    graph = case.model.graph
    kinds = (value.type for value in (*graph.input, *graph.output))
    values = (*case.inputs.values(), *case.outputs.values())
    return all(kind.HasField("tensor_type") for kind in kinds) and all(map(_is_numeric, values))


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind not in "OUSc"


def _is_packed(value: Any) -> bool:
    return any(np.asarray(value).dtype.name.startswith(name) for name in _PACKED)
