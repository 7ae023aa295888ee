"""Sequences of tensors whose length and positions are known: lists of names, gone afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from builder.compiler.prepare.rewriting import Rewrite, Site, rewrite
from builder.compiler.prepare.skeleton import Skeleton


def resolve_sequences(skeleton: Skeleton) -> None:
    """Replace what builds and reads sequences by the tensors in them."""
    if any("Sequence" in node.op_type for node in skeleton.model.graph.node):
        skeleton.model = onnx.shape_inference.infer_shapes(skeleton.model, data_prop=True)
        rewrite(skeleton, _Sequences().table())


class _Sequences:
    """The sequences known so far, by the name of their value."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}

    def table(self) -> Mapping[str, Rewrite]:
        return {
            **{name: self._building(build) for name, build in _BUILDERS.items()},
            "ConcatFromSequence": self._concatenate,
            "SequenceAt": self._at,
            "SequenceLength": self._length,
        }

    def _building(self, build: Any) -> Rewrite:
        def take(site: Site) -> bool:
            built = build(site, self._known)
            if built is not None:
                self._known[site.node.output[0]] = built
            return built is not None

        return take

    def _at(self, site: Site) -> bool:
        known, position = self._known.get(site.node.input[0]), site.value(1)
        if known is None or position is None:
            return False
        site.emit("Identity", known[int(position)], to=site.node.output[0])
        return True

    def _length(self, site: Site) -> bool:
        known = self._known.get(site.node.input[0])
        if known is not None:
            site.set_output(0, np.asarray(len(known), np.int64))
        return known is not None

    def _concatenate(self, site: Site) -> bool:
        known = self._known.get(site.node.input[0])
        if not known:
            return False
        axis = site.attribute("axis")
        parts = known
        if site.attribute("new_axis", 0):
            parts = [site.emit("Unsqueeze", one, np.asarray([axis], np.int64)) for one in known]
        site.emit("Concat", *parts, to=site.node.output[0], axis=axis)
        return True


Known = dict[str, list[str]]


def _construct(site: Site, _known: Known) -> list[str]:
    return list(site.node.input)


def _identity(site: Site, known: Known) -> list[str] | None:
    return known.get(site.node.input[0])


def _insert(site: Site, known: Known) -> list[str] | None:
    sequence, position = known.get(site.node.input[0]), site.value(2)
    if sequence is None or (site.has(2) and position is None):
        return None
    at = len(sequence) if position is None else int(position)
    at = at + len(sequence) if at < 0 else at
    return [*sequence[:at], site.node.input[1], *sequence[at:]]


def _erase(site: Site, known: Known) -> list[str] | None:
    sequence, position = known.get(site.node.input[0]), site.value(1)
    if sequence is None or (site.has(1) and position is None):
        return None
    at = (-1 if position is None else int(position)) % len(sequence)
    return [*sequence[:at], *sequence[at + 1 :]]


def _split(site: Site, _known: Known) -> list[str] | None:
    """Return the parts of SplitToSequence: of equal sizes, of given ones, or single elements."""
    extents, sizes = site.shape(0), site.value(1)
    if extents is None or (site.has(1) and sizes is None):
        return None
    axis = site.attribute("axis", 0) % len(extents)
    length, step = extents[axis], 1 if sizes is None else int(sizes.flat[0])
    if sizes is None or not sizes.ndim:
        sizes = np.asarray([min(step, length - at) for at in range(0, length, step)])
    names: list[str | None] = [None] * len(sizes)
    parts = site.emit_many("Split", site.node.input[0], sizes.astype(np.int64), to=names, axis=axis)
    if not site.has(1) and not site.attribute("keepdims", 1):
        parts = [site.emit("Squeeze", part, np.asarray([axis], np.int64)) for part in parts]
    return parts


_BUILDERS = {
    "Identity": _identity,
    "SequenceConstruct": _construct,
    "SequenceEmpty": lambda _site, _known: [],
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SplitToSequence": _split,
}
