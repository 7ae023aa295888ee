"""What static shapes alone decide."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from builder.compiler.prepare.rewriting import Rewrite, Site


def shape(site: Site) -> bool:
    """Shape of a static value: a constant."""
    extents = site.shape(0)
    if extents is None:
        return False
    part = slice(site.attribute("start"), site.attribute("end"))
    site.set_output(0, np.asarray(extents[part], np.int64))
    return True


def size(site: Site) -> bool:
    """Size of a static value: a constant."""
    extents = site.shape(0)
    if extents is None:
        return False
    site.set_output(0, np.asarray(np.prod(extents, dtype=np.int64)))
    return True


def eye_like(site: Site) -> bool:
    """EyeLike of a static value: a constant."""
    extents = site.shape(0)
    if extents is None:
        return False
    dtype = site.dtype(0)
    if site.attribute("dtype") is not None:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(site.attribute("dtype")))
    rows, columns = extents
    site.set_output(0, np.eye(rows, columns, k=int(site.attribute("k", 0)), dtype=dtype))
    return True


def dropout(site: Site) -> bool:
    """Dropout at inference, or with a ratio of 0: nothing is dropped."""
    extents, training, ratio = site.shape(0), site.value(2), site.value(1)
    drops = training is not None and bool(training) and (ratio is None or float(ratio) != 0)
    if extents is None or drops or (site.has(2) and training is None):
        return False
    site.emit("Identity", site.node.input[0], to=site.node.output[0])
    if site.wants(1):
        site.set_output(1, np.ones(extents, np.bool_))
    return True


def listed_axes(site: Site) -> bool:
    """Squeeze and Unsqueeze with a single axis that is no list: some definitions in ONNX do so."""
    axes = site.value(1)
    if axes is None or axes.ndim:
        return False
    again = [site.node.input[0], site.constant(axes.reshape(1))]
    site.again(again, to=site.node.output[0])
    return True


TABLE: Mapping[str, Rewrite] = {
    "Dropout": dropout,
    "EyeLike": eye_like,
    "Shape": shape,
    "Size": size,
    "Squeeze": listed_axes,
    "Unsqueeze": listed_axes,
}
