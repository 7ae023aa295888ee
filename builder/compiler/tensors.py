"""numpy arrays as TVM tensors and back, sharing their bytes where that is possible.

A gigabyte of weights is mapped from its file and must not be copied for every module that names it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax, te

from builder.compiler.plan import ALIGNMENT

_NOT_IN_DLPACK = "bfloat16"
"""numpy's exporter knows no type of another package."""


def constant(array: npt.NDArray[Any]) -> relax.Expr:
    """Return ``array`` as a Relax constant; its bytes are shared where they are aligned."""
    return relax.const(tensor(array), array.dtype.name)


def tensor(array: npt.NDArray[Any]) -> tvm.runtime.Tensor:
    """Return ``array`` as a tensor, sharing its bytes if they are writable, dense and aligned."""
    dense = array.flags.c_contiguous and array.flags.writeable and array.size > 0
    aligned = array.ctypes.data % ALIGNMENT == 0
    if dense and aligned and array.dtype.name != _NOT_IN_DLPACK and array.ndim:
        return tvm.runtime.from_dlpack(array)
    return tvm.runtime.tensor(array)


def value(expression: relax.Expr) -> npt.NDArray[Any] | None:
    """Return the array of a constant, for reading only; None for any other expression."""
    if not isinstance(expression, tvm.ir.GenericConst):
        return None
    held = expression.value
    if str(held.dtype) == _NOT_IN_DLPACK or 0 in held.shape:
        return np.asarray(held.numpy())
    return np.from_dlpack(held)


def te_shape(tensor: te.Tensor) -> list[int]:
    """Return the static shape of a TE tensor."""
    return [int(extent) for extent in tensor.shape]
