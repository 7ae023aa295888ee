"""The static plan: a model as a fixed list of kernel calls over four places of memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from builder.model.tensor import Signature

ALIGNMENT = 64
"""Bytes. Every arena offset and every weight starts on it; kernels may load whole vectors."""


class Place(Enum):
    """Where a view's bytes are, spelled as ``templates/runtime/plan.h`` does."""

    ARENA = "BW_ARENA"
    WEIGHTS = "BW_WEIGHTS"
    INPUT = "BW_INPUT"
    OUTPUT = "BW_OUTPUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """An element type under the names numpy, DLPack and the C interface know it by.

    ``code`` is DLPack's type code (``dlpack.h``: 0 int, 1 uint, 2 float, 4 bfloat, 6 bool).
    """

    name: str
    constant: str
    code: int
    bits: int

    @property
    def size_bytes(self) -> int:
        return self.bits // 8


DATA_TYPES: dict[str, DataType] = {
    kind.name: kind
    for kind in (
        DataType(name="float32", constant="BW_FLOAT32", code=2, bits=32),
        DataType(name="float64", constant="BW_FLOAT64", code=2, bits=64),
        DataType(name="float16", constant="BW_FLOAT16", code=2, bits=16),
        DataType(name="bfloat16", constant="BW_BFLOAT16", code=4, bits=16),
        DataType(name="int8", constant="BW_INT8", code=0, bits=8),
        DataType(name="int16", constant="BW_INT16", code=0, bits=16),
        DataType(name="int32", constant="BW_INT32", code=0, bits=32),
        DataType(name="int64", constant="BW_INT64", code=0, bits=64),
        DataType(name="uint8", constant="BW_UINT8", code=1, bits=8),
        DataType(name="uint16", constant="BW_UINT16", code=1, bits=16),
        DataType(name="uint32", constant="BW_UINT32", code=1, bits=32),
        DataType(name="uint64", constant="BW_UINT64", code=1, bits=64),
        DataType(name="bool", constant="BW_BOOL", code=6, bits=8),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A dense row-major tensor at ``offset`` bytes of a place; ``index`` picks input or output."""

    place: Place
    index: int
    offset: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * DATA_TYPES[self.dtype].size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCall:
    """One kernel applied to views, in argument order; ``nodes`` are the ONNX nodes it computes.

    The last ``results`` of the views are what it writes.
    """

    kernel: str
    nodes: tuple[str, ...]
    views: tuple[View, ...]
    results: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the elements of a view must be when the calls before number ``before`` are done.

    ``what`` says what they are (index, length, divisor, coordinate). ``bounds`` are the lowest and
    the highest of all of them, or of each place of the last axis; without any, integers must not be
    0 and floats must be finite. ``node`` is the ONNX node that reads them, ``tensor`` its operand.
    """

    view: View
    before: int
    what: str
    bounds: tuple[tuple[int, int], ...]
    node: str
    tensor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputCopy:
    """An output that no kernel writes in place: an input, a constant, or another output's bytes."""

    source: View
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticPlan:
    """The whole of a compiled model but for machine code and the bytes of its weights."""

    signature: Signature
    calls: tuple[KernelCall, ...]
    checks: tuple[Check, ...]
    copies: tuple[OutputCopy, ...]
    arena_bytes: int
    weights_bytes: int
    weights_xxh64: int
