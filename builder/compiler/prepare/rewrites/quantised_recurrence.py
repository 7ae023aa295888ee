"""ONNX Runtime's LSTM of 8-bit weights, whose inputs and states are quantised as they come.

The states of every step are quantised by their own range, so the steps are written out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from builder.compiler.prepare.rewrites.quantization import EXACT_IN_FLOAT32
from builder.compiler.prepare.rewriting import Rewrite, Site

MOST_STEPS = 256
"""More would be more nodes than it is worth."""

_BIAS, _LENGTHS, _HIDDEN, _CELL, _PEEPHOLES = 3, 4, 5, 6, 7
_INPUT, _RECURRENT = (1, 8, 9), (2, 10, 11)
"""Where the integers, scales and zero points of both weights are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A node and its sizes."""

    site: Site
    steps: int
    batch: int
    hidden: int
    directions: int

    def is_backward(self, direction: int) -> bool:
        return direction == 1 or self.site.attribute("direction", "forward") == "reverse"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """One direction's whole numbers [K, gates] as floats, and their scales: one or one a column.

    Both are constants by name, which all steps share. ``exact`` holds every sum of products.
    """

    whole: str
    scale: str
    exact: np.dtype[Any]


def lstm(site: Site) -> bool:
    """DynamicQuantizeLSTM: step by step, its products in whole numbers."""
    layer = _layer(site)
    if layer is None:
        return False
    quantised = site.emit_many("DynamicQuantizeLinear", site.node.input[0], to=[None] * 3)
    results = [_direction(layer, direction, quantised) for direction in range(layer.directions)]
    axes = (1, 0, 0)
    for position, axis in enumerate(axes):
        if site.wants(position):
            parts = [result[position] for result in results]
            site.emit("Concat", *parts, to=site.node.output[position], axis=axis)
    return True


def _layer(site: Site) -> _Layer | None:
    extents, weight = site.shape(0), site.shape(2)
    if extents is None or weight is None or not site.is_known(1, 2, 3, 8, 9, 10, 11):
        return None
    unusual = ("activations", "clip", "input_forget", "layout")
    if any(site.attribute(name) for name in unusual) or site.has(_LENGTHS):
        return None
    if site.has(_PEEPHOLES) or extents[0] > MOST_STEPS:
        return None
    return _Layer(
        site=site,
        steps=extents[0],
        batch=extents[1],
        hidden=weight[1],
        directions=weight[0],
    )


def _direction(layer: _Layer, direction: int, quantised: list[str]) -> tuple[str, str, str]:
    """Return Y [steps, 1, batch, hidden] and the last states [1, batch, hidden]."""
    site = layer.site
    by_input = _product(site, quantised, _weight(site, _INPUT, direction))
    if site.has(_BIAS):
        both = site.value(_BIAS)
        assert both is not None
        by_input = site.emit("Add", by_input, both[direction].reshape(2, -1).sum(0))
    weight = _weight(site, _RECURRENT, direction)
    hidden, cell = (_initial(layer, position, direction) for position in (_HIDDEN, _CELL))
    shown: dict[int, str] = {}
    order = range(layer.steps)
    for step in reversed(order) if layer.is_backward(direction) else order:
        gates = site.emit("Gather", by_input, np.asarray(step), axis=0)
        if hidden is not None:
            state = site.emit_many("DynamicQuantizeLinear", hidden, to=[None] * 3)
            gates = site.emit("Add", gates, _product(site, state, weight))
        hidden, cell = _advance(layer, gates, cell)
        shown[step] = site.reshape(hidden, [1, 1, layer.batch, layer.hidden])
    assert hidden is not None and cell is not None
    output = site.emit("Concat", *(shown[step] for step in order), axis=0)
    shape = [1, layer.batch, layer.hidden]
    return output, site.reshape(hidden, shape), site.reshape(cell, shape)


def _advance(layer: _Layer, gates: str, cell: str | None) -> tuple[str, str]:
    """Return the next states; gates lie in the order input, output, forget, cell."""
    site = layer.site
    sizes = np.full(4, layer.hidden)
    opened, shown, kept, fresh = site.emit_many("Split", gates, sizes, to=[None] * 4, axis=-1)
    opened, shown, kept = (site.emit("Sigmoid", gate) for gate in (opened, shown, kept))
    added = site.emit("Mul", opened, site.emit("Tanh", fresh))
    after = added if cell is None else site.emit("Add", site.emit("Mul", kept, cell), added)
    return site.emit("Mul", shown, site.emit("Tanh", after)), after


def _initial(layer: _Layer, position: int, direction: int) -> str | None:
    """Return a state before the first step; None where it is zero."""
    if not layer.site.has(position):
        return None
    return layer.site.emit("Gather", layer.site.node.input[position], np.asarray(direction), axis=0)


def _weight(site: Site, positions: tuple[int, int, int], direction: int) -> _Weight:
    integers, scale, zero_point = (site.value(position) for position in positions)
    assert integers is not None and scale is not None and zero_point is not None
    whole = integers[direction].astype(np.int64) - int(zero_point[direction].reshape(-1)[0])
    largest = 255 * int(np.abs(whole).sum(axis=0).max(initial=0))
    exact = np.dtype(np.float32 if largest < EXACT_IN_FLOAT32 else np.float64)
    return _Weight(
        whole=site.constant(whole.astype(exact)),
        scale=site.constant(scale[direction]),
        exact=exact,
    )


def _product(site: Site, quantised: list[str], weight: _Weight) -> str:
    """Return a quantised value times a weight, as floats."""
    values, scale, zero_point = quantised
    whole, less = (site.cast(name, weight.exact) for name in (values, zero_point))
    product = site.emit("MatMul", site.emit("Sub", whole, less), weight.whole)
    steps = site.cast(product, np.float32)
    return site.emit("Mul", steps, site.emit("Mul", scale, weight.scale))


TABLE: Mapping[str, Rewrite] = {"DynamicQuantizeLSTM": lstm}
