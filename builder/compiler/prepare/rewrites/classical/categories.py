"""LabelEncoder, CategoryMapper and OneHotEncoder: each element looked up among keys.

Texts among keys are those that the input counts; texts among values become indices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper

from builder.compiler.prepare.rewriting import Array, Rewrite, Site

Texts = Sequence[str]
_UNUSED = "_Unused"

_NAN_IS_A_KEY_SINCE = 4


def label_encoder(site: Site) -> bool:
    """LabelEncoder of any version."""
    if site.attribute("classes_strings") is not None:
        return _classes(site)
    keys, values = _listed(site, "keys"), _listed(site, "values")
    if keys is None or values is None or len(keys) != len(values):
        return False
    return _look_up(site, keys, values, _default(site, values))


def _classes(site: Site) -> bool:
    """Look texts up in a list, or their places."""
    texts = site.texts("classes_strings")
    places = np.arange(len(texts))
    if site.node.input[0] in site.graph.skeleton.labels:
        return _look_up(site, texts, places, np.int64(site.attribute("default_int64", -1)))
    return _look_up(site, places, texts, site.attribute("default_string", _UNUSED))


def category_mapper(site: Site) -> bool:
    """CategoryMapper: texts to integers, or back."""
    texts = site.texts("cats_strings")
    integers = np.asarray(site.attribute("cats_int64s", ()), np.int64)
    if len(texts) != len(integers):
        return False
    if site.node.input[0] in site.graph.skeleton.labels:
        return _look_up(site, texts, integers, np.int64(site.attribute("default_int64", -1)))
    return _look_up(site, integers, texts, site.attribute("default_string", _UNUSED))


def one_hot_encoder(site: Site) -> bool:
    """OneHotEncoder: of categories that are there twice, the last counts."""
    texts = site.texts("cats_strings")
    categories: Any = texts or np.asarray(site.attribute("cats_int64s", ()), np.int64)
    if not len(categories):
        return False
    where = {category: place for place, category in enumerate(list(categories))}
    if texts:
        known = site.graph.skeleton.labels.get(site.node.input[0])
        if known is None:
            return False
        hot = np.zeros((len(known) + 1, len(texts)), np.float32)
        for index, text in enumerate(known):
            if text in where:
                hot[index, where[text]] = 1
        site.emit("Gather", hot, _index(site, len(known)), to=site.node.output[0])
        return True
    counts = np.asarray([where[key] == place for place, key in enumerate(categories.tolist())])
    data = site.cast(site.node.input[0], np.int64)
    same = site.emit("Equal", site.emit("Unsqueeze", data, np.asarray([-1])), categories)
    same = same if counts.all() else site.emit("And", same, counts)
    site.cast(same, np.float32, to=site.node.output[0])
    return True


def _listed(site: Site, kind: str) -> Array | Texts | None:
    """Return keys or values, however the operator's version spells them."""
    tensor = site.attribute(f"{kind}_tensor")
    if tensor is not None:
        value = numpy_helper.to_array(tensor).reshape(-1)
        return [_text(one) for one in value] if value.dtype.kind in "OSU" else value
    if texts := site.texts(f"{kind}_strings"):
        return texts
    for name, dtype in ((f"{kind}_int64s", np.int64), (f"{kind}_floats", np.float32)):
        if (numbers := site.attribute(name)) is not None and len(numbers):
            return np.asarray(numbers, dtype)
    return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _default(site: Site, values: Array | Texts) -> Any:
    tensor = site.attribute("default_tensor")
    if tensor is not None:
        value = numpy_helper.to_array(tensor).reshape(-1)[0]
        return _text(value) if isinstance(value, bytes | str) else value
    if not isinstance(values, np.ndarray):
        return site.attribute("default_string", _UNUSED)
    if values.dtype.kind == "f":
        return site.attribute("default_float", -0.0)
    return site.attribute("default_int64", -1)


def _look_up(site: Site, keys: Array | Texts, values: Array | Texts, default: Any) -> bool:
    """Emit each element's value, that of the first key that it is, or the default."""
    if isinstance(keys, np.ndarray):
        place = _place(site, keys)
    else:
        known = site.graph.skeleton.labels.get(site.node.input[0])
        if known is None:
            return False
        of_key = {key: number for number, key in reversed(list(enumerate(keys)))}
        places = np.asarray([*(of_key.get(one, len(keys)) for one in known), len(keys)], np.int64)
        place = site.emit("Gather", places, _index(site, len(known)))
    if isinstance(values, np.ndarray):
        table = np.concatenate([values, np.asarray([default], values.dtype)])
        site.emit("Gather", table, place, to=site.node.output[0])
    else:
        site.emit_labels(place, [*values, default], to=site.node.output[0])
    return True


def _index(site: Site, count: int) -> str:
    """Return the input's indices; what is none of ``count`` is one more, the unknown."""
    index = site.node.input[0]
    inside = site.emit(
        "And",
        site.emit("GreaterOrEqual", index, np.int64(0)),
        site.emit("Less", index, np.int64(count)),
    )
    return site.emit("Where", inside, index, np.int64(count))


def _place(site: Site, keys: Array) -> str:
    """Return where among numeric keys each element stands first, else their number."""
    data = site.node.input[0]
    if site.dtype(0) == keys.dtype == np.int64 and (keys == np.arange(len(keys))).all():
        return _index(site, len(keys))
    each = site.emit("Unsqueeze", data, np.asarray([-1]))
    same = site.emit("Equal", each, keys.astype(site.dtype(0)))
    if keys.dtype.kind == "f" and np.isnan(keys).any() and site.version >= _NAN_IS_A_KEY_SINCE:
        missing = site.emit("And", site.emit("IsNaN", each), np.isnan(keys))
        same = site.emit("Or", same, missing)
    rank = site.rank(0)
    places = np.arange(len(keys), dtype=np.int64)
    where = site.emit("Where", same, places, np.int64(len(keys)))
    first = site.reduce("Min", where, [rank])
    return site.emit("Squeeze", first, np.asarray([rank]))


TABLE: Mapping[str, Rewrite] = {
    "CategoryMapper": category_mapper,
    "LabelEncoder": label_encoder,
    "OneHotEncoder": one_hot_encoder,
}
