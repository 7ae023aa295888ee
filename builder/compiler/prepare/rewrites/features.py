"""The operators of ai.onnx.ml that are a few standard ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from builder.compiler.prepare.rewriting import Rewrite, Site


def array_feature_extractor(site: Site) -> bool:
    """ArrayFeatureExtractor: Gather along the last axis."""
    extents = site.shape(0)
    if extents is None:
        return False
    flat = site.reshape(site.node.input[1], [-1])
    data = site.node.input[0]
    if len(extents) == 1:
        data = site.reshape(data, [1, *extents])
    site.emit("Gather", data, flat, to=site.node.output[0], axis=-1)
    return True


def binarizer(site: Site) -> bool:
    """Binarizer: 1 above the threshold, else 0."""
    threshold = np.asarray(site.attribute("threshold", 0.0), site.dtype(0))
    above = site.emit("Greater", site.node.input[0], threshold)
    site.cast(above, site.dtype(0), to=site.node.output[0])
    return True


TABLE: Mapping[str, Rewrite] = {
    "ArrayFeatureExtractor": array_feature_extractor,
    "Binarizer": binarizer,
}
