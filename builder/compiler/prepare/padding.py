"""Windows with explicit padding: automatic padding, rounding up and output shapes worked out.

Where ONNX and ONNX Runtime differ, the numbers are ONNX Runtime's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import onnx
from onnx import helper

from builder.compiler.prepare import simplify
from builder.compiler.prepare.rewriting import Array, Rewrite, Site, rewrite
from builder.compiler.prepare.skeleton import Skeleton


def explicit_padding(skeleton: Skeleton) -> None:
    """Give windows that slide over an image ``pads`` in place of what follows from shapes.

    Where that changes a result's shape, what comes after is looked at anew with the right one.
    """
    if not any(node.op_type in TABLE for node in skeleton.model.graph.node):
        return
    changed = True
    while changed:
        simplify.infer_shapes(skeleton)
        turn = _Turn()
        rewrite(skeleton, {operator: turn.until_changed(take) for operator, take in TABLE.items()})
        changed = turn.changed


@dataclass(slots=True, kw_only=True)
class _Turn:
    """One look at the nodes in order, which ends where a shape turns out to be another."""

    changed: bool = False

    def until_changed(self, take: Rewrite) -> Rewrite:
        def taken(site: Site) -> bool:
            if self.changed or not take(site):
                return False
            self.changed = site.output_shape(0) != _shape_of(site)
            return True

        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """One axis of an image of ``extent`` elements, and the window over it."""

    extent: int
    kernel: int
    stride: int
    dilation: int

    @property
    def reach(self) -> int:
        """How many elements lie between the window's first and last one, both included."""
        return (self.kernel - 1) * self.dilation + 1


Pads = tuple[int, int]
"""How much is added before and after an axis."""


def convolution(site: Site) -> bool:
    """Conv with automatic padding."""
    automatic, axes = _automatic(site), _axes(site, site.shape(1))
    if automatic == "NOTSET" or axes is None:
        return False
    pads = [_same(axis, axis.reach, automatic) for axis in axes]
    _again(site, pads if automatic != "VALID" else [(0, 0)] * len(axes))
    return True


def pool(site: Site) -> bool:
    """MaxPool, AveragePool and LpPool with automatic padding or a last window that juts out."""
    automatic, ceil = _automatic(site), bool(site.attribute("ceil_mode", 0))
    axes = _axes(site, site.attribute("kernel_shape"), spatial_only=True)
    if axes is None or (automatic == "NOTSET" and not ceil):
        return False
    pads = _pads(site, axes, automatic)
    if ceil and site.wants(1):
        _again(site, pads, ceil_mode=1)  # the conversion that tells positions counts by itself
        return True
    jutting = [_jutting(axis, *pad) if ceil else 0 for axis, pad in zip(axes, pads, strict=True)]
    whole = [(before, after + more) for (before, after), more in zip(pads, jutting, strict=True)]
    if any(jutting) and site.attribute("count_include_pad", 0):
        shares = [_shares(*one) for one in zip(axes, pads, jutting, strict=True)]
        _scaled(site, whole, shares)
    else:
        _again(site, whole, ceil_mode=0)
    return True


def _pads(site: Site, axes: Sequence[_Axis], automatic: str) -> list[Pads]:
    if automatic == "VALID":
        return [(0, 0)] * len(axes)
    if automatic == "NOTSET":
        given = site.attribute("pads", [0] * 2 * len(axes))
        return list(zip(given[: len(axes)], given[len(axes) :], strict=True))
    # ONNX Runtime takes no account of dilations here.
    return [_same(axis, axis.kernel, automatic) for axis in axes]


def _same(axis: _Axis, reach: int, automatic: str) -> Pads:
    stops = -(-axis.extent // axis.stride)
    return _split(max((stops - 1) * axis.stride + reach - axis.extent, 0), automatic)


def _split(total: int, automatic: str) -> Pads:
    before = total // 2 if automatic == "SAME_UPPER" else total - total // 2
    return before, total - before


def _jutting(axis: _Axis, before: int, after: int) -> int:
    """Return how far the last window reaches beyond the padding, if it starts before that."""
    padded = axis.extent + before + after
    stops = -(-(padded - axis.reach) // axis.stride) + 1
    if (stops - 1) * axis.stride >= axis.extent + before:
        stops -= 1
    return max((stops - 1) * axis.stride + axis.reach - padded, 0)


def _shares(axis: _Axis, pads: Pads, jutting: int) -> Array:
    """Return by how much an average over whole windows is too small: what juts out is no part."""
    padded = axis.extent + sum(pads)
    starts = np.arange(0, padded + jutting - axis.reach + 1, axis.stride)
    places = starts[:, None] + np.arange(axis.kernel) * axis.dilation
    return np.asarray(axis.kernel / (places < padded).sum(axis=1))


def _scaled(site: Site, pads: Sequence[Pads], shares: Sequence[Array]) -> None:
    average = site.again(list(site.node.input))
    _set(site.made[-1], pads=_listed(pads), ceil_mode=0)
    factors = reduce(np.multiply.outer, shares)
    site.emit("Mul", average, factors.astype(site.dtype(0)), to=site.node.output[0])


def transposed(site: Site) -> bool:
    """ConvTranspose with automatic padding or a given output shape."""
    automatic, wanted = _automatic(site), site.attribute("output_shape")
    axes = _axes(site, site.shape(1))
    if axes is None or (automatic == "NOTSET" and not wanted):
        return False
    rank = len(axes)
    more = list(site.attribute("output_padding", [0] * rank))
    pads = [(0, 0)] * rank
    if wanted or automatic.startswith("SAME"):
        shape = [a.extent * a.stride for a in axes] if not wanted else wanted[-rank:]
        for place, axis in enumerate(axes):
            bare = (axis.extent - 1) * axis.stride + axis.reach
            total = bare + more[place] - shape[place]
            pads[place] = _split(max(total, 0), automatic)
            if wanted and total < 0:
                more[place] = shape[place] - bare
    _again(site, pads, output_padding=more)
    return True


def _shape_of(site: Site) -> tuple[int, ...] | None:
    """Return the shape that ONNX infers for the first of what was put in a node's place."""
    graph, types, node = site.graph, site.graph.types, site.made[0]
    if any(name and name not in types for name in node.input):
        return None
    inputs = [onnx.ValueInfoProto(name=n, type=types[n]) for n in node.input if n]
    alone = helper.make_graph([node], "alone", inputs, [])
    opsets = [helper.make_opsetid("", graph.opset)]
    inferred = onnx.shape_inference.infer_shapes(helper.make_model(alone, opset_imports=opsets))
    found = {value.name: value.type for value in inferred.graph.value_info}.get(node.output[0])
    return found and tuple(dim.dim_value for dim in found.tensor_type.shape.dim)


def unpool(site: Site) -> bool:
    """MaxUnpool: values scattered over zeros, of a given shape or of the one that was pooled."""
    extents, given = site.shape(0), site.value(2)
    if extents is None or not site.is_known(2):
        return False
    kernel = site.attribute("kernel_shape")
    pads, rank = site.attribute("pads", [0] * 2 * len(kernel)), len(kernel)
    strides = site.attribute("strides", [1] * rank)
    windows = zip(extents[2:], kernel, strides, pads[:rank], pads[rank:], strict=True)
    pooled = [(e - 1) * stride + k - before - after for e, k, stride, before, after in windows]
    shape = [*extents[:2], *pooled] if given is None else [int(extent) for extent in given]
    values, places = (site.reshape(name, [-1]) for name in site.node.input[:2])
    zeros = np.zeros(math.prod(shape), site.dtype(0))
    site.reshape(
        site.emit("ScatterElements", zeros, places, values, axis=0), shape, to=site.node.output[0]
    )
    return True


def _automatic(site: Site) -> str:
    return str(site.attribute("auto_pad", "NOTSET") or "NOTSET")


def _axes(
    site: Site, kernel: Sequence[int] | None, *, spatial_only: bool = False
) -> list[_Axis] | None:
    """Return the axes, or None where a shape is not known; ``kernel`` begins with channels."""
    extents = site.shape(0)
    if extents is None or kernel is None:
        return None
    window = list(kernel) if spatial_only else list(kernel[2:])
    ones = [1] * len(window)
    strides, dilations = site.attribute("strides", ones), site.attribute("dilations", ones)
    return [
        _Axis(extent=extent, kernel=k, stride=stride, dilation=dilation)
        for extent, k, stride, dilation in zip(extents[2:], window, strides, dilations, strict=True)
    ]


def _again(site: Site, pads: Sequence[Pads], **changed: Any) -> None:
    """Put the node in its own place once more, with explicit padding."""
    copy = onnx.NodeProto()
    copy.CopyFrom(site.node)
    copy.name = site.name
    _set(copy, pads=_listed(pads), **changed)
    site.made.append(copy)


_IMPLIED = frozenset({"auto_pad", "output_shape"})


def _set(node: onnx.NodeProto, **changed: Any) -> None:
    kept = [a for a in node.attribute if a.name not in _IMPLIED and a.name not in changed]
    kept += [
        helper.make_attribute(name, value)
        for name, value in changed.items()
        if name == "pads" or (any(value) if isinstance(value, list) else value)
    ]
    del node.attribute[:]
    node.attribute.extend(kept)


def _listed(pads: Sequence[Pads]) -> list[int]:
    return [before for before, _ in pads] + [after for _, after in pads]


TABLE: Mapping[str, Rewrite] = {
    "AveragePool": pool,
    "Conv": convolution,
    "ConvTranspose": transposed,
    "LpPool": pool,
    "MaxPool": pool,
    "MaxUnpool": unpool,
}
