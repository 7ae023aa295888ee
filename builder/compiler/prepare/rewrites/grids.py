"""AffineGrid: where each element of an image of fixed size comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.rewriting import Rewrite, Site


def affine_grid(site: Site) -> bool:
    """AffineGrid: the even grid of the image, a constant, times the transforms."""
    size = site.value(1)
    if size is None:
        return False
    batch, _, *extents = (int(extent) for extent in size)
    aligned = bool(site.attribute("align_corners", 0))
    grid = _even_grid(extents, aligned).astype(site.dtype(0))
    turned = site.emit("Transpose", site.node.input[0], perm=[0, 2, 1])
    flat = site.emit("MatMul", grid, turned)
    site.reshape(flat, [batch, *extents, len(extents)], to=site.node.output[0])
    return True


def _even_grid(extents: list[int], aligned: bool) -> npt.NDArray[np.float64]:
    """Return [elements, rank + 1]: coordinates from -1 to 1, the last axis first, and a 1."""
    lines = []
    for extent in extents:
        line = np.linspace(-1, 1, extent) if extent > 1 else np.zeros(1)
        lines.append(line if aligned else line * (extent - 1) / extent)
    planes = np.meshgrid(*lines, indexing="ij")
    columns = [plane.reshape(-1) for plane in reversed(planes)]
    return np.stack([*columns, np.ones(math.prod(extents))], axis=1)


TABLE: Mapping[str, Rewrite] = {"AffineGrid": affine_grid}
