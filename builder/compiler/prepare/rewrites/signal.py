"""Fourier transforms as products with their matrices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.rewriting import Rewrite, Site

Matrix = npt.NDArray[np.float64]


def dft(site: Site) -> bool:
    """DFT of a fixed length along a fixed axis, of real or complex numbers."""
    extents, result = site.shape(0), site.output_shape(0)
    if extents is None or result is None or not site.is_known(1, 2):
        return False
    axis = _axis(site, len(extents))
    given = site.value(1)
    length = extents[axis] if given is None else int(given.item())
    backward = bool(site.attribute("inverse", 0))
    half = bool(site.attribute("onesided", 0))
    if backward and half:
        return False
    used = min(length, extents[axis])
    cosine, sine = _matrices(length, result[axis], used, backward)
    rank = len(extents)
    # The transformed axis goes last but one; real and imaginary part stay last.
    order = [a for a in range(rank - 1) if a != axis] + [axis, rank - 1]
    data = site.node.input[0]
    if used != extents[axis]:
        data = site.emit("Slice", data, np.asarray([0]), np.asarray([used]), np.asarray([axis]))
    turned = site.emit("Transpose", data, perm=order)
    dtype = site.dtype(0)
    matrices = _by_part(cosine, sine, extents[-1]).astype(dtype)
    lead = [extents[a] for a in order[:-2]]
    flat = site.reshape(turned, [*lead, used * extents[-1]])
    product = site.emit("MatMul", flat, matrices)
    parted = site.reshape(product, [*lead, result[axis], 2])
    site.emit(
        "Transpose", parted, perm=[order.index(a) for a in range(rank)], to=site.node.output[0]
    )
    return True


def _axis(site: Site, rank: int) -> int:
    """Return the axis; it is an input since operator set 20, and the default changed then."""
    given = site.value(2)
    if given is not None:
        return int(given.item()) % rank
    return int(site.attribute("axis", -2 if site.graph.opset >= 20 else 1)) % rank


def _matrices(length: int, after: int, used: int, backward: bool) -> tuple[Matrix, Matrix]:
    """Return the real and the imaginary part of the transform [used, after]."""
    turns = np.outer(np.arange(used), np.arange(after)) % length
    angle = 2 * np.pi * turns / length
    scale = 1 / length if backward else 1.0
    return np.cos(angle) * scale, np.sin(angle) * (scale if backward else -scale)


def _by_part(cosine: Matrix, sine: Matrix, parts: int) -> Matrix:
    """Return one matrix [used * parts, after * 2] over interleaved real and imaginary parts."""
    used, after = cosine.shape
    whole = np.zeros((used, parts, after, 2))
    whole[:, 0, :, 0], whole[:, 0, :, 1] = cosine, sine
    if parts == 2:
        whole[:, 1, :, 0], whole[:, 1, :, 1] = -sine, cosine
    return whole.reshape(used * parts, after * 2)


def stft(site: Site) -> bool:
    """STFT: frames of the signal, each by a window and the transform's matrix."""
    extents, step, result = site.shape(0), site.value(1), site.output_shape(0)
    window, length = site.value(2), site.value(3)
    if extents is None or result is None or step is None or not site.is_known(2, 3):
        return False
    size = int(length.item()) if length is not None else len(window if window is not None else ())
    if not size:
        return False
    shape = np.ones(size) if window is None else window.astype(np.float64)
    cosine, sine = _matrices(size, result[2], size, backward=False)
    parts = extents[2] if len(extents) > 2 else 1
    matrix = _by_part(cosine * shape[:, None], sine * shape[:, None], parts)
    frames = np.arange(result[1])[:, None] * int(step.item()) + np.arange(size)
    signal = site.reshape(site.node.input[0], [extents[0], extents[1], parts])
    cut = site.emit("Gather", signal, frames, axis=1)
    flat = site.reshape(cut, [extents[0], result[1], size * parts])
    product = site.emit("MatMul", flat, matrix.astype(site.dtype(0)))
    site.reshape(product, result, to=site.node.output[0])
    return True


TABLE: Mapping[str, Rewrite] = {"DFT": dft, "STFT": stft}
