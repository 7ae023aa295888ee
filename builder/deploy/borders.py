"""Where the parts of a file end: wherever a rolling hash of its content says so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from builder.deploy.parts import AVERAGE_BYTES, LEAST_BYTES, MOST_BYTES

_WINDOW = 64
_MASK = np.uint64(AVERAGE_BYTES - 1)
# One fixed random 64-bit number a byte value: another table is another format of parts.
_GEAR = np.frombuffer(
    b"".join(hashlib.sha256(b"boardwright gear %d" % byte).digest()[:8] for byte in range(256)),
    dtype="<u8",
).astype(np.uint64)


def borders(content: memoryview) -> Iterator[int]:
    """Yield 0, the end of each part, and so at last the size; just 0 for no bytes."""
    start, size = 0, len(content)
    yield 0
    for candidate in _candidates(content):
        while candidate - start > MOST_BYTES:
            start += MOST_BYTES
            yield start
        if candidate - start >= LEAST_BYTES:
            start = candidate
            yield start
    while size - start > MOST_BYTES:
        start += MOST_BYTES
        yield start
    if size > start:
        yield size


def _candidates(content: memoryview) -> Iterator[int]:
    """Yield each offset after 64 bytes whose hash has its low bits zero."""
    block = 1 << 22
    for start in range(0, len(content), block):
        before = max(0, start - _WINDOW + 1)
        hashes = _rolling(np.frombuffer(content[before : start + block], dtype=np.uint8))
        found = np.flatnonzero((hashes & _MASK) == 0) + before + 1
        yield from found[(found > start) & (found >= _WINDOW)].tolist()


def _rolling(content: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    # The sum over a window of GEAR[byte] << age, doubled from 1 byte to 64 in six steps.
    hashes = _GEAR[content]
    width = 1
    while width < _WINDOW:
        longer = hashes.copy()
        longer[width:] += hashes[:-width] << np.uint64(width)
        hashes, width = longer, width * 2
    return hashes
