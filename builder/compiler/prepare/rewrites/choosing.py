"""OneHot as a comparison."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from builder.compiler.prepare.rewriting import Rewrite, Site


def one_hot(site: Site) -> bool:
    """OneHot of a known depth: where a row's number is the index, the one value, else the other."""
    depth, extents = site.value(1), site.shape(0)
    if depth is None or extents is None:
        return False
    rows = int(depth.reshape(()))
    axis = site.attribute("axis", -1) % (len(extents) + 1)
    index = site.cast(site.node.input[0], np.int64)
    before = site.emit("Less", index, np.int64(0))
    index = site.emit("Where", before, site.emit("Add", index, np.int64(rows)), index)
    index = site.reshape(index, [*extents[:axis], 1, *extents[axis:]])
    numbers = np.arange(rows).reshape(-1, *[1] * (len(extents) - axis))
    off, on = (site.emit("Gather", site.node.input[2], np.int64(n), axis=0) for n in (0, 1))
    site.emit("Where", site.emit("Equal", index, numbers), on, off, to=site.node.output[0])
    return True


TABLE: Mapping[str, Rewrite] = {"OneHot": one_hot}
