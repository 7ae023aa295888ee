"""Arrays in and out: what a model takes, and checks that an array is that."""

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Tuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes. The library uses buffers that start on it in place and copies others."""

_TYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)


class TensorSpec(NamedTuple):
    """One input or output.

    ``type`` is the model's element type; ``dtype`` is the numpy type that carries it. They differ
    for bfloat16 only: without the package ml_dtypes its bits travel as uint16.
    """

    name: str
    type: str
    dtype: "np.dtype[Any]"
    shape: Tuple[int, ...]


def make_spec(name: str, type_code: int, shape: Tuple[int, ...]) -> TensorSpec:
    """Return the spec of a tensor with the ``bw_dtype`` code ``type_code``."""
    type_name = _TYPES[type_code]
    return TensorSpec(name=name, type=type_name, dtype=_numpy_type(type_name), shape=shape)


def bind(
    specs: Tuple[TensorSpec, ...], given: Tuple[object, ...], named: Dict[str, object]
) -> List["NDArray[Any]"]:
    """Match arrays given by position and by name to the inputs, in the model's order.

    Raises ``TypeError`` for one that is missing, unknown, given twice or of another element type,
    ``ValueError`` for another shape.
    """
    if len(given) > len(specs):
        raise TypeError(f"{len(given)} arrays for {len(specs)} inputs")
    by_name = {spec.name: value for spec, value in zip(specs, given)}
    twice = sorted(by_name.keys() & named.keys())
    by_name.update(named)
    missing = [spec.name for spec in specs if spec.name not in by_name]
    unknown = sorted(by_name.keys() - {spec.name for spec in specs})
    for names, problem in ((twice, "given twice"), (unknown, "unknown"), (missing, "missing")):
        if names:
            known = [spec.name for spec in specs]
            raise TypeError(f"inputs {problem}: {names!r}; the model takes {known!r}")
    return [check_input(spec, by_name[spec.name]) for spec in specs]


def check_input(spec: TensorSpec, value: object) -> "NDArray[Any]":
    """Return ``value`` as a packed array of the spec's type and shape, copied only if it must be.

    Plain numbers and lists take the spec's type; arrays must have it already.
    """
    has_type = isinstance(value, (np.ndarray, np.generic))
    array = np.asarray(value) if has_type else np.asarray(value, dtype=spec.dtype)
    _check(spec, array)
    return np.require(array, requirements=["C", "A"])


def check_output(spec: TensorSpec, value: object) -> "NDArray[Any]":
    """Return ``value`` if it is a writable array of the spec's type and shape, of any strides."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"output {spec.name!r} must be a numpy array")
    if not value.flags.writeable:
        raise ValueError(f"output {spec.name!r} is a read-only array")
    _check(spec, value)
    return value


def make_aligned(spec: TensorSpec) -> "NDArray[Any]":
    """Return an uninitialised array, aligned so that the library writes straight to it."""
    size = spec.dtype.itemsize * int(np.prod(spec.shape, dtype=np.int64))
    room = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(spec.dtype).reshape(spec.shape)


def _check(spec: TensorSpec, array: "NDArray[Any]") -> None:
    bits_of_bfloat16 = spec.type == "bfloat16" and array.dtype == np.uint16
    if array.dtype != spec.dtype and not bits_of_bfloat16:
        raise TypeError(
            f"{spec.name!r} is {array.dtype}, the model has {spec.type}; "
            f"convert it with .astype({spec.dtype.name!r})"
        )
    if array.shape != spec.shape:
        raise ValueError(f"{spec.name!r} has shape {array.shape}, the model has {spec.shape}")


def _numpy_type(type_name: str) -> "np.dtype[Any]":
    if type_name != "bfloat16":
        return np.dtype(type_name)
    try:
        import ml_dtypes
    except ImportError:
        return np.dtype(np.uint16)
    bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return bfloat16
