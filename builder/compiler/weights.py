"""Tensors in one file: written once, streamed, 64-byte aligned, mapped when read.

The prepared model keeps its initialisers in such a file, and so does the bundle its weights.
Weights are never held in memory as a whole: a model may be larger than what the machine can spare
twice.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ml_dtypes  # noqa: F401  (teaches numpy the name bfloat16)
import numpy as np
import numpy.typing as npt
import xxhash

from builder.compiler.plan import ALIGNMENT

_CHUNK_BYTES = 1 << 22

Bytes = npt.NDArray[np.uint8]


_PACKED_BITS = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "float4_e2m1fn": 4}
"""Types of which ONNX puts several elements into a byte, the first one lowest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where one tensor lies in a file of weights; elements of a few bits are packed there."""

    offset: int
    size_bytes: int
    shape: tuple[int, ...]
    dtype: str


class WeightsWriter:
    """Append tensors to a file; equal bytes are stored once. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")
        self._offset = 0
        self._checksum = xxhash.xxh64(seed=0)
        self._known: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, array: npt.NDArray[Any]) -> Span:
        """Write ``array`` (any shape) unless its bytes are there already; return its span."""
        payload = _packed(np.ascontiguousarray(array).reshape(-1)).data
        content = hashlib.sha256(payload).digest()
        offset = self._known.get(content)
        if offset is None:
            self._write(bytes(-self._offset % ALIGNMENT))
            offset = self._known[content] = self._offset
            for start in range(0, len(payload), _CHUNK_BYTES):
                self._write(payload[start : start + _CHUNK_BYTES])
        return Span(
            offset=offset, size_bytes=len(payload), shape=array.shape, dtype=array.dtype.name
        )

    def flush(self) -> None:
        """Make what was added readable through ``read_span``."""
        self._file.flush()

    def _write(self, piece: bytes | memoryview) -> None:
        self._file.write(piece)
        self._checksum.update(piece)
        self._offset += len(piece)

    @property
    def size_bytes(self) -> int:
        return self._offset

    @property
    def xxh64(self) -> int:
        """XXH64, seed 0, of all bytes so far: what the runtime checks before it trusts the file."""
        return self._checksum.intdigest()


def read_span(path: Path, span: Span) -> npt.NDArray[Any]:
    """Map one tensor of a weights file, without reading it. Writes to it stay private."""
    if span.size_bytes == 0:
        return np.empty(span.shape, dtype=span.dtype)
    raw: Bytes = np.memmap(
        path, dtype=np.uint8, mode="c", offset=span.offset, shape=(span.size_bytes,)
    )
    if span.dtype in _PACKED_BITS:
        raw = _unpacked(raw, _PACKED_BITS[span.dtype])[: math.prod(span.shape)]
    return raw.view(np.dtype(span.dtype)).reshape(span.shape)


def stored_bytes(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """Return what a tensor takes in a file of weights, as in ONNX's own external data."""
    bits = _PACKED_BITS.get(dtype.name, 8 * dtype.itemsize)
    return -(-math.prod(shape) * bits // 8)


def _packed(array: npt.NDArray[Any]) -> Bytes:
    """Return a flat array's bytes as they are stored."""
    raw: Bytes = array.view(np.uint8)
    if array.dtype.name not in _PACKED_BITS:
        return raw
    bits = _PACKED_BITS[array.dtype.name]
    whole = np.pad(raw & np.uint8((1 << bits) - 1), (0, -raw.size % (8 // bits)))
    packed: Bytes = np.bitwise_or.reduce(whole.reshape(-1, 8 // bits) << _shifts(bits), axis=1)
    return packed


def _unpacked(raw: Bytes, bits: int) -> Bytes:
    """Return the elements of packed bytes, each in the lowest bits of a byte of its own."""
    return ((raw[:, None] >> _shifts(bits)) & np.uint8((1 << bits) - 1)).reshape(-1)


def _shifts(bits: int) -> Bytes:
    return np.fromiter(range(0, 8, bits), np.uint8)
