"""Random inputs that suit a model: indices inside their tables, masks of zeros and ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from builder.compiler.prepare.check_data import Arrays
from builder.compiler.prepare.rewriting import Graph, Site
from builder.model.tensor import TensorSpec

TOKEN_LIMIT = 8
"""Seeded integers stay below this unless the graph shows what they are for."""

_MASK_LIMIT = 2
_SMALL = range(TOKEN_LIMIT)

_MISSING_SHARE = 1 / 8


def seeded_inputs(
    specs: Sequence[TensorSpec],
    ranges: Mapping[str, range],
    seed: int,
    gaps: Collection[str] = (),
) -> Arrays:
    """Return reproducible data for each input: floats in [-1, 1), integers of its range, bits.

    Integers without a range are below ``TOKEN_LIMIT``. Some floats of the inputs in ``gaps`` are
    NaN.
    """
    generator = np.random.default_rng(seed)
    made = {spec.name: _random(generator, spec, ranges.get(spec.name, _SMALL)) for spec in specs}
    for name in sorted(gaps):
        if made[name].dtype.kind == "f":
            made[name][generator.random(made[name].shape) < _MISSING_SHARE] = np.nan
    return made


def _random(generator: np.random.Generator, spec: TensorSpec, allowed: range) -> npt.NDArray[Any]:
    # Arithmetic on an array without axes gives a number, which is none any more.
    return np.asarray(_drawn(generator, spec, allowed), np.dtype(spec.dtype))


def _drawn(generator: np.random.Generator, spec: TensorSpec, allowed: range) -> Any:
    if spec.dtype == "bool":
        return generator.integers(0, 2, spec.shape)
    if np.dtype(spec.dtype).kind in "iu":
        return generator.integers(allowed.start, allowed.stop, spec.shape)
    return generator.random(spec.shape, dtype=np.float32) * 2 - 1


def integer_ranges(graph: Graph) -> dict[str, range]:
    """Return what inputs may hold where the graph shows what they are for.

    They stay below the extents that they index, and below 2 where all they do is mask; divisors are
    not 0. An input called a mask is taken for one.
    """
    values = graph.skeleton.model.graph.input
    uses: dict[str, list[_Use]] = {
        value.name: [] for value in values if value.name not in graph.skeleton.spans
    }
    for source, use in _uses(graph, uses):
        uses[source].append(use)
    return {name: _range(name, found) for name, found in uses.items()}


def inputs_with_gaps(graph: Graph) -> set[str]:
    """Return the inputs that go to trees which know a way for what is missing."""
    sources = {value.name: {value.name} for value in graph.skeleton.model.graph.input}
    sources = {name: held for name, held in sources.items() if name not in graph.skeleton.spans}
    found: set[str] = set()
    for node in graph.skeleton.model.graph.node:
        site = Site(graph=graph, node=node, name=node.name)
        held = set().union(*(sources.get(name, ()) for name in _carried(site)[:_FOLLOWED]))
        sources[node.output[0]] = held if len(held) <= _FOLLOWED else set()
        if any(site.attribute("nodes_missing_value_tracks_true", ())):
            found |= sources.get(node.input[0], set())
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """What a node takes a number for: a mask, a divisor, or something below an extent."""

    masks: bool
    divides: bool
    below: int | None


def _range(name: str, uses: Sequence[_Use]) -> range:
    limits = [use.below for use in uses if use.below is not None]
    if "mask" in name.lower() or (uses and all(use.masks for use in uses)):
        limits.append(_MASK_LIMIT)
    least = 1 if any(use.divides for use in uses) else 0
    return range(least, max(min(limits, default=TOKEN_LIMIT), least + 1))


_FOLLOWED = 64
"""Inputs in one value whose numbers are told apart; more are followed no further."""


def _uses(graph: Graph, inputs: Iterable[str]) -> Iterator[tuple[str, _Use]]:
    """Yield what inputs' numbers are taken for wherever they are not only handed on."""
    sources: dict[str, set[str]] = {name: {name} for name in inputs}
    for node in graph.skeleton.model.graph.node:
        site = Site(graph=graph, node=node, name=node.name)
        carried = _carried(site)
        if carried:
            held = set().union(*(sources.get(name, ()) for name in carried))
            sources[node.output[0]] = held if len(held) <= _FOLLOWED else set()
        below = _extents_indexed(site)
        for position, name in enumerate(node.input):
            if name not in carried:
                use = _Use(
                    masks=_masks(site, position),
                    divides=node.op_type in _DIVIDING and position == 1,
                    below=below.get(position),
                )
                yield from ((source, use) for source in sources.get(name, ()))


_DIVIDING = frozenset({"Div", "Mod"})
_HANDING_ON = frozenset(
    {
        *("Cast", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze"),
        *("Tile", "Transpose", "Unsqueeze"),
    }
)


def _carried(site: Site) -> Sequence[str]:
    """Return the operands whose numbers a node's output holds as they are."""
    node = site.node
    match node.op_type:
        case "Concat":
            return list(node.input)
        case "Where":
            return list(node.input[1:])
        case "Cast" if site.attribute("to") == TensorProto.BOOL:
            return []
    return list(node.input[:1]) if node.op_type in _HANDING_ON else []


def _masks(site: Site, position: int) -> bool:
    """Say whether a node takes an operand for a mask: as a truth, or less from 1."""
    node = site.node
    if node.op_type == "Cast":
        return True
    whole = site.graph.constants.get(node.input[0])
    if node.op_type != "Sub" or position != 1 or whole is None:
        return False
    return bool((numpy_helper.to_array(whole) == 1).all())


def _extents_indexed(site: Site) -> dict[int, int]:
    """Return the extents that operands index or count in, by position."""
    extents = site.shape(0) if site.has(0) else None
    if not extents:
        return {}
    match site.node.op_type:
        case "Gather" | "GatherElements" | "ScatterElements":
            return {1: extents[site.attribute("axis", 0)]}
        case "CumProd" | "CumSum":
            return {1: len(extents)}
        case "GatherND" | "ScatterND":
            first = site.attribute("batch_dims", 0)
            reached = extents[first : first + (site.shape(1) or (1,))[-1]]
            return {1: min(reached, default=1)}
        case "ReverseSequence":
            return {1: extents[site.attribute("time_axis", 0)]}
        case "RoiAlign":
            return {2: extents[0]}
        case "GRU" | "LSTM" | "RNN":
            return {4: extents[site.attribute("layout", 0)]}
    return {}
