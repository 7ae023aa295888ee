"""What comes before a classical model: numbers scaled, filled in, chosen and put side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from builder.compiler.prepare.rewrites.classical import scores
from builder.compiler.prepare.rewriting import Array, Rewrite, Site

F = np.float32


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


def scaler(site: Site) -> bool:
    """Scaler: the offset is taken off, then the scale is multiplied; doubles are rounded last."""
    if site.rank(0) > 2:
        return False
    wide = site.dtype(0) == np.float64
    kind = np.float64 if wide else np.float32
    offset, scale = (np.asarray(site.attribute(name), kind) for name in ("offset", "scale"))
    data = site.node.input[0] if site.dtype(0) == kind else site.cast(site.node.input[0], kind)
    made = site.emit("Mul", site.emit("Sub", data, offset), scale)
    scores.give(site, 0, site.cast(made, F) if wide else made)
    return True


def imputer(site: Site) -> bool:
    """Imputer: one value, or one for each feature, in place of what counts as missing."""
    kind = site.dtype(0)
    floats = site.attribute("imputed_value_floats", ())
    if site.rank(0) > 2:
        return False
    filling = np.asarray(floats or site.attribute("imputed_value_int64s", ()), kind)
    name = "replaced_value_float" if floats else "replaced_value_int64"
    missing = np.asarray(site.attribute(name, 0), kind)
    extents = site.shape(0)
    if extents is None or (filling.size != 1 and filling.size != extents[-1]):
        filling = filling[:1]
    data = site.node.input[0]
    if kind.kind == "f" and np.isnan(missing):
        gone = site.emit("IsNaN", data)
    else:
        gone = site.emit("Equal", data, missing)
    site.emit("Where", gone, filling, data, to=site.node.output[0])
    return True


def normalizer(site: Site) -> bool:
    """Normalizer: each row through its largest number, or its L1 or L2 norm, unless that is 0."""
    if site.rank(0) > 2:
        return False
    data, axes = site.node.input[0], [site.rank(0) - 1]
    whole = data if site.dtype(0) == np.float32 else site.cast(data, F)
    match site.attribute("norm", "MAX"):
        case "MAX":
            counted = site.emit("Where", site.emit("IsNaN", whole), np.finfo(F).min, whole)
            norm, scaled = site.reduce("Max", counted, axes), None
        case "L1":
            sizes = site.emit("Abs", data)
            norm = site.reduce("Sum", _as_floats(site, sizes), axes)
            scaled = None
        case _:
            squares = _as_floats(site, site.emit("Mul", data, data))
            norm = site.reduce("Sum", squares, axes)
            size = site.emit("Sqrt", site.emit("Div", squares, norm))
            below = site.emit("Less", whole, F(0))
            scaled = site.emit("Where", below, scores.negative(site, size), size)
    made = scaled or site.emit("Div", whole, norm)
    nothing = site.emit("Equal", norm, F(0))
    site.emit("Where", nothing, whole, made, to=site.node.output[0])
    return True


def _as_floats(site: Site, data: str) -> str:
    return data if site.dtype(0) == np.float32 else site.cast(data, F)


def feature_vectorizer(site: Site) -> bool:
    """FeatureVectorizer: inputs side by side as floats, each cut or filled up to its width."""
    widths = site.attribute("inputdimensions", ())
    shapes = [site.shape(number) for number in range(len(site.node.input))]
    if any(shape is None for shape in shapes) or len(widths) != len(shapes):
        return False
    parts = []
    for number, (width, shape) in enumerate(zip(widths, shapes, strict=True)):
        assert shape is not None
        data = site.node.input[number]
        data = data if site.dtype(number) == F else site.cast(data, F)
        count = shape[0] if len(shape) > 1 else 1
        data = site.reshape(data, [count, -1])
        found = int(np.prod(shape)) // max(count, 1)
        parts += _fitted(site, data, (count, found), width)
    site.emit("Concat", *parts, to=site.node.output[0], axis=1)
    return True


def _fitted(site: Site, data: str, shape: tuple[int, int], width: int) -> list[str | Array]:
    """Return what is ``width`` columns together."""
    if shape[1] > width:
        return [site.emit("Slice", data, *(np.asarray([n]) for n in (0, width, 1)))]
    return [data, *([np.zeros((shape[0], width - shape[1]), F)] if shape[1] < width else [])]


TABLE: Mapping[str, Rewrite] = {
    "ArrayFeatureExtractor": array_feature_extractor,
    "Binarizer": binarizer,
    "FeatureVectorizer": feature_vectorizer,
    "Imputer": imputer,
    "Normalizer": normalizer,
    "Scaler": scaler,
}
