"""Which ONNX value a tensor shows that a kernel wrote.

Kernels fuse nodes, compute in channel blocks and take detours of several calls, so only some of
their tensors are ONNX values: those of the right type whose shape is the value's, or its blocks'.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import onnx

from builder.compiler.node_names import node_name
from builder.compiler.refusals import is_static, value_types

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """A tensor that ``bin/run --dump`` wrote, in the order of the run; ``file`` is a .npy stem."""

    file: str
    kernel: str
    nodes: tuple[str, ...]
    dtype: str
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """A dumped tensor that shows ``value``, which the nodes at ``positions`` compute."""

    dumped: Dumped
    value: str
    shape: Shape
    positions: tuple[int, ...]


def align(graph: onnx.GraphProto, dumped: Iterable[Dumped]) -> tuple[Aligned, ...]:
    """Return the tensors that show a value of ``graph``, in the order of the run.

    Where several show one value, the last does: those before it are detours.
    """
    known = _Known.of(graph)
    last: dict[str, Aligned] = {}
    for tensor in dumped:
        found = known.shown(tensor)
        if found is not None:
            last.pop(found.value, None)  # its place in the order is that of the last
            last[found.value] = found
    return tuple(last.values())


def plain(array: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    """Return a tensor that shows a value of ``shape`` in that shape, out of its blocks."""
    if not _is_blocked(array.shape, shape):
        return array.reshape(shape)
    batch, blocks, height, width, lanes = array.shape
    channels = array.transpose(0, 1, 4, 2, 3).reshape(batch, blocks * lanes, height, width)
    return channels[:, : shape[1]]


def _is_blocked(found: Shape, wanted: Shape) -> bool:
    """Say whether ``found`` [N, C/b, H, W, b] holds ``wanted`` [N, C, H, W], C padded to blocks."""
    if len(found) != 5 or len(wanted) != 4:
        return False
    batch, blocks, height, width, lanes = found
    filled = -(-wanted[1] // lanes) == blocks
    return filled and (batch, height, width) == (wanted[0], *wanted[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    graph: onnx.GraphProto
    positions: Mapping[str, Sequence[int]]  # of the nodes that are called so
    types: Mapping[str, onnx.TypeProto]
    producers: Mapping[str, int]

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> _Known:
        positions: dict[str, list[int]] = {}
        producers: dict[str, int] = {}
        for at, node in enumerate(graph.node):
            positions.setdefault(_on_one_line(node_name(at, node)), []).append(at)
            producers |= dict.fromkeys(node.output, at)
        types = value_types(graph)
        return cls(graph=graph, positions=positions, types=types, producers=producers)

    def shown(self, tensor: Dumped) -> Aligned | None:
        """Return what ``tensor`` shows: of the values it may show, the one latest in the graph."""
        members = sorted({at for name in tensor.nodes for at in self.positions.get(name, ())})
        before = {at: self._before(at) for at in members}
        for at in reversed(members):
            if not all(each in before[at] or at in before[each] for each in members):
                continue  # a branch beside another: the tensor holds them all
            behind = tuple(member for member in members if member <= at)
            for name in self.graph.node[at].output:
                if name and self._may_show(tensor, name):
                    shape = _shape(self.types[name])
                    return Aligned(dumped=tensor, value=name, shape=shape, positions=behind)
        return None

    def _before(self, at: int) -> set[int]:
        """Return the node and all that it follows from."""
        found, waiting = {at}, [at]
        while waiting:
            inputs = self.graph.node[waiting.pop()].input
            new = {self.producers[name] for name in inputs if name in self.producers} - found
            found |= new
            waiting += new
        return found

    def _may_show(self, tensor: Dumped, name: str) -> bool:
        kind = self.types.get(name)
        if kind is None or not is_static(kind):
            return False
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type).name
        shape = _shape(kind)
        same_size = math.prod(tensor.shape) == math.prod(shape)
        reshaped = same_size and _squeezed(tensor.shape) == _squeezed(shape)
        return tensor.dtype == dtype and (reshaped or _is_blocked(tensor.shape, shape))


def _shape(kind: onnx.TypeProto) -> Shape:
    return tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)


def _squeezed(shape: Shape) -> Shape:
    return tuple(extent for extent in shape if extent != 1)


def _on_one_line(name: str) -> str:
    return " ".join(name.split())
