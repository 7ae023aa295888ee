"""A model in pieces: each value computed by ONNX Runtime from the nearest ones that are known.

Errors then neither add up nor hide one another. A value is right if it follows from what the bundle
itself computed before it, whatever ONNX Runtime would have computed there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.node_names import subgraphs
from builder.compiler.refusals import value_types
from builder.payload.reference import AT_ONCE, Reference

Array = npt.NDArray[Any]
Known = Mapping[str, Array]


@dataclass(slots=True, kw_only=True)
class Pieces:
    """``model`` cut at every value that is ``known``; its weights lie in ``weights``."""

    model: onnx.ModelProto
    weights: Path
    known: Known
    types: dict[str, onnx.TypeProto] = field(init=False)
    producers: dict[str, int] = field(init=False)
    _constants: dict[str, onnx.TensorProto] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.types = value_types(graph)
        self.producers = {name: at for at, n in enumerate(graph.node) for name in n.output if name}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}

    def positions(self, name: str, cut: Iterable[str] = ()) -> tuple[int, ...]:
        """Return the nodes between known values (and those of ``cut``) and ``name``, in order."""
        return self._walk([name], set(cut))[0]

    def taken(self, name: str) -> tuple[str, ...]:
        """Return the known values that ``name`` is computed from."""
        return self._walk([name], set())[1]

    def values(
        self,
        names: Sequence[str],
        *,
        instead: Known | None = None,
        in_another_order: bool = False,
    ) -> Iterator[Array]:
        """Yield what ONNX Runtime makes of ``names``; what ``instead`` has is known as well."""
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            part, fed = self.part(some, instead or {})
            reference = Reference(part, self.weights, in_another_order=in_another_order)
            yield from reference.values(some, fed)

    def part(
        self, names: Sequence[str], instead: Known | None = None
    ) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Return the model that computes ``names`` from what is known, and what to feed it."""
        instead = instead or {}
        positions, taken = self._walk(names, set(instead))
        nodes = [self.model.graph.node[at] for at in positions]
        made = {name for node in nodes for name in node.output}
        called = {name: f"{name} as computed" if name in made else name for name in taken}
        fed = {called[n]: instead[n] if n in instead else self.known[n] for n in taken}
        return self._model(nodes, names, called, fed), fed

    def _walk(self, names: Iterable[str], cut: set[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
        waiting = [self.producers[name] for name in names]
        found, taken = set(waiting), dict[str, None]()
        while waiting:
            node = self.model.graph.node[waiting.pop()]
            for name in node.input:
                if not name or name in self._constants:
                    continue
                if name in cut or name in self.known:
                    taken[name] = None
                elif (at := self.producers[name]) not in found:
                    found.add(at)
                    waiting.append(at)
        return tuple(sorted(found)), tuple(taken)

    def _model(
        self,
        nodes: Sequence[onnx.NodeProto],
        names: Sequence[str],
        called: Mapping[str, str],
        fed: Known,
    ) -> onnx.ModelProto:
        part = onnx.ModelProto(ir_version=self.model.ir_version)
        part.opset_import.extend(self.model.opset_import)
        part.functions.extend(self.model.functions)
        part.graph.name = "piece"
        for node in nodes:
            part.graph.node.add().CopyFrom(_renamed(node, called))
        used = {name for node in nodes for name in node.input}
        part.graph.initializer.extend(t for name, t in self._constants.items() if name in used)
        for name, array in fed.items():
            part.graph.input.add(name=name).type.CopyFrom(_type_of(array))
        for name in names:
            part.graph.output.add(name=name).type.CopyFrom(self._type(name))
        return part

    def _type(self, name: str) -> onnx.TypeProto:
        return self.types[name] if name in self.types else _type_of(self.known[name])


class Unsplittable(Exception):
    """A node holds graphs of its own, so that values cannot be put in their place."""


def _renamed(node: onnx.NodeProto, called: Mapping[str, str]) -> onnx.NodeProto:
    if next(subgraphs(node), None):
        raise Unsplittable(node.name)
    if not any(called.get(name, name) != name for name in node.input):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [called.get(name, name) for name in node.input]
    return copy


def _type_of(array: Array) -> onnx.TypeProto:
    dtype = np.dtype(array.dtype)
    element = (
        onnx.TensorProto.BFLOAT16
        if dtype == ml_dtypes.bfloat16
        else onnx.helper.np_dtype_to_tensor_dtype(dtype)
    )
    return onnx.helper.make_tensor_type_proto(element, array.shape)
