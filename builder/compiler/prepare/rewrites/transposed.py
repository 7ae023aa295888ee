"""ConvTranspose that states the size of its output instead of its padding."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx

from builder.compiler.prepare.rewriting import Rewrite, Site


def conv_transpose(site: Site) -> bool:
    """Turn ``output_shape`` and automatic padding into pads, by ONNX's own formula."""
    wanted = site.attribute("output_shape")
    automatic = site.attribute("auto_pad", "NOTSET")
    extents, kernel = site.shape(0), site.shape(1)
    if extents is None or kernel is None:
        return False
    if wanted is None and not automatic.startswith("SAME"):
        return False
    spatial = len(extents) - 2
    strides = site.attribute("strides", [1] * spatial)
    dilations = site.attribute("dilations", [1] * spatial)
    extra = list(site.attribute("output_padding", [0] * spatial))
    targets = wanted or [e * s for e, s in zip(extents[2:], strides, strict=True)]
    starts, ends = [], []
    for axis, target in enumerate(targets[-spatial:]):
        reach = (kernel[2 + axis] - 1) * dilations[axis] + 1
        total = strides[axis] * (extents[2 + axis] - 1) + extra[axis] + reach - target
        extra[axis] += max(-total, 0)
        smaller = max(total, 0) // 2
        larger = math.ceil(max(total, 0) / 2)
        upper = automatic == "SAME_UPPER"
        starts.append(smaller if upper else larger)
        ends.append(larger if upper else smaller)
    _replace(site, {"pads": [*starts, *ends], "output_padding": extra})
    return True


def _replace(site: Site, attributes: dict[str, list[int]]) -> None:
    site.again(list(site.node.input), to=site.node.output[0])
    copy = site.made[-1]
    dropped = {"output_shape", "auto_pad", *attributes}
    kept = [attribute for attribute in copy.attribute if attribute.name not in dropped]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    copy.attribute.extend(onnx.helper.make_attribute(*item) for item in attributes.items())


TABLE: Mapping[str, Rewrite] = {"ConvTranspose": conv_transpose}
