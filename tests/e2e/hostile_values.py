"""Models with every operator that indexes, measures or divides by values known at run time only.

A library holds many, so that one build serves many trials: one operand is hostile, the others are
good. There are two, for ONNX Runtime has no operator set that holds them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
STEPS = 4


@dataclass(frozen=True, kw_only=True)
class Operand:
    """An input whose elements must be ``low`` to ``high``; by place of the last axis where these
    are several; not 0 where there are none. ``least`` is the lowest that ONNX Runtime takes, where
    that is more; ``distinct`` is whether no two may be equal for the result to be certain."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "int64"
    bounds: tuple[tuple[int, int], ...] = ()
    least: int | None = None
    distinct: bool = False

    def good(self, generator: np.random.Generator) -> Array:
        """Return allowed values at random."""
        limits = np.iinfo(self.dtype)
        if not self.bounds:
            made = generator.integers(limits.min, limits.max, self.shape, self.dtype)
            return np.where(made == 0, 1, made).astype(self.dtype)
        if self.distinct:
            (low, high), count = self.bounds[0], int(np.prod(self.shape))
            low = low if self.least is None else self.least
            return generator.permutation(high - low + 1)[:count].reshape(self.shape) + low
        low, high = np.array(self.bounds).T
        low, high = low if self.least is None else self.least, np.minimum(high, 1 << 40)
        return generator.integers(low, high + 1, self.shape).astype(self.dtype)

    def hostile(self) -> Iterator[tuple[int, int, str]]:
        """Yield (element, value, what the message must say of it)."""
        limits = np.iinfo(self.dtype)
        if not self.bounds:
            yield 0, 0, "divisor 0 is not allowed"
            return
        for element in range(len(self.bounds)):
            low, high = self.bounds[element]
            tried = (low - 1, high + 1, 1 << 31, -(1 << 31) - 1, 1 << 32, (1 << 62) + 1)
            for value in dict.fromkeys((*tried, int(limits.min), int(limits.max))):
                if limits.min <= value <= limits.max and not low <= value <= high:
                    yield element, value, f" {value} is not in {low} to {high}"


OPSETS = (18, 24)
_NEW = {"RotaryEmbedding", "TensorScatter"}


def operands(opset: int) -> list[Operand]:
    """Return the inputs of a model that some operator takes for indices and the like."""
    used = {name for node in _nodes(opset) for name in node.input}
    return [operand for operand in _operands() if operand.name in used]


def _operands() -> list[Operand]:

    def index(name: str, *shape: int, **more: Any) -> Operand:
        return Operand(name=name, shape=shape, **more)

    rows, columns, lengths = ((-4, 3),), ((-6, 5),), ((0, STEPS),)
    return [
        index("gather", 3, 2, bounds=columns),
        index("gather32", 5, bounds=rows, dtype="int32"),
        index("elements", 2, 6, bounds=rows),
        index("gather_nd", 3, 2, bounds=(*rows, *columns)),
        index("gather_batch", 2, 2, 1, bounds=((-3, 2),)),
        index("scatter", 2, 6, bounds=rows),
        index("scatter_max", 2, 6, bounds=rows, dtype="int32"),
        index("scatter_nd", 3, 1, bounds=rows),
        index("scatter_places", 3, 2, bounds=(*rows, *columns)),
        index("unpool", 1, 1, 2, 2, bounds=((-16, 15),), least=0, distinct=True),
        index("regions", 3, bounds=((0, 1),)),
        index("reversed", 2, bounds=lengths),
        index("reversed_rows", STEPS, bounds=((0, 2),)),
        *(index(f"{kind}_lengths", 2, bounds=lengths, dtype="int32") for kind in RECURRENT),
        index("cache", 2, bounds=((0, 3),)),
        index("ring", 2, bounds=((0, (1 << 63) - 1),)),
        index("positions", 1, 3, bounds=((-8, 7),), least=0),
        index("label", 2, bounds=((-3, 2),), least=0),
        *(index(f"{dtype}_by", 8, dtype=dtype) for dtype in INTEGERS),
    ]


RECURRENT = {"RNN": (1, "forward"), "GRU": (3, "reverse"), "LSTM": (4, "bidirectional")}


def model(opset: int) -> onnx.ModelProto:
    """Return the model of an operator set; its other inputs are numbers to work on."""
    nodes = _nodes(opset)
    inputs = [(each.name, each.dtype, each.shape) for each in operands(opset)]
    others = [(name, array.dtype.name, array.shape) for name, array in numbers(opset, 0).items()]
    graph = helper.make_graph(
        nodes,
        "hostile",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
            )
            for name, dtype, shape in (*inputs, *others)
        ],
        [helper.make_empty_tensor_value_info(node.output[0]) for node in nodes],
        [numpy_helper.from_array(np.arange(24, dtype=np.float32).reshape(4, 6), "table")],
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _nodes(opset: int) -> list[onnx.NodeProto]:
    every = [*_indexing(), *_measuring(), *_dividing()]
    return [node for node in every if (node.op_type in _NEW) == (opset == OPSETS[1])]


def numbers(opset: int, seed: int) -> dict[str, Array]:
    """Return the inputs that may hold anything, at random."""
    used = {name for node in _nodes(opset) for name in node.input}
    return {name: array for name, array in _numbers(seed).items() if name in used}


def _numbers(seed: int) -> dict[str, Array]:
    generator = np.random.default_rng(seed)

    def floats(*shape: int) -> Array:
        return generator.uniform(-1, 1, shape).astype(np.float32)

    made = {
        "batches": floats(2, 3, 4),
        "updates": floats(2, 6),
        "row_updates": floats(3, 6),
        "point_updates": floats(3),
        "pooled": floats(1, 1, 2, 2),
        "images": floats(2, 1, 4, 4),
        "boxes": np.abs(floats(3, 4)) * np.array([1, 1, 4, 4], np.float32),
        "sequence": floats(STEPS, 2),
        "steps": floats(STEPS, 2, 3),
        "past": floats(2, 1, 4, 2),
        "fresh": floats(2, 1, 1, 2),
        "heads": floats(1, 2, 3, 4),
        "angles": floats(8, 2),
        "scores": floats(2, 3),
    }
    for name, (gates, direction) in RECURRENT.items():
        ways = 2 if direction == "bidirectional" else 1
        made[f"{name}_w"] = floats(ways, gates * 2, 3)
        made[f"{name}_r"] = floats(ways, gates * 2, 2)
    for dtype in INTEGERS:
        limits = np.iinfo(dtype)
        made[f"{dtype}_of"] = generator.integers(limits.min, limits.max, 8, dtype)
    return made


def _node(operator: str, inputs: str, name: str, **attributes: Any) -> onnx.NodeProto:
    listed = ["" if each == "-" else each for each in inputs.split()]
    return helper.make_node(operator, listed, [f"{name}_out"], name=f"{name}_node", **attributes)


def _indexing() -> Iterator[onnx.NodeProto]:
    yield _node("Gather", "table gather", "gather", axis=1)
    yield _node("Gather", "table gather32", "gather32")
    yield _node("GatherElements", "table elements", "elements")
    yield _node("GatherND", "table gather_nd", "gather_nd")
    yield _node("GatherND", "batches gather_batch", "gather_batch", batch_dims=1)
    yield _node("ScatterElements", "table scatter updates", "scatter", reduction="add")
    yield _node("ScatterElements", "table scatter_max updates", "scatter_max", reduction="max")
    yield _node("ScatterND", "table scatter_nd row_updates", "scatter_nd", reduction="add")
    yield _node(
        "ScatterND", "table scatter_places point_updates", "scatter_places", reduction="add"
    )
    yield _node("MaxUnpool", "pooled unpool", "unpool", kernel_shape=[2, 2], strides=[2, 2])
    yield _node("RoiAlign", "images boxes regions", "regions", output_height=2, output_width=2)
    yield _node("TensorScatter", "past fresh cache", "cache")
    yield _node("TensorScatter", "past fresh ring", "ring", mode="circular")
    yield _node("RotaryEmbedding", "heads angles angles positions", "positions")
    yield _node("NegativeLogLikelihoodLoss", "scores label", "label", reduction="none")


def _measuring() -> Iterator[onnx.NodeProto]:
    yield _node("ReverseSequence", "sequence reversed", "reversed")
    yield _node(
        "ReverseSequence", "sequence reversed_rows", "reversed_rows", time_axis=1, batch_axis=0
    )
    for kind, (_, direction) in RECURRENT.items():
        inputs = f"steps {kind}_w {kind}_r - {kind}_lengths"
        yield _node(kind, inputs, kind, hidden_size=2, direction=direction)


def _dividing() -> Iterator[onnx.NodeProto]:
    for dtype in INTEGERS:
        operands = f"{dtype}_of {dtype}_by"
        yield _node("Div", operands, f"{dtype}_div")
        yield _node("Mod", operands, f"{dtype}_mod")
        yield _node("Mod", operands, f"{dtype}_fmod", fmod=1)


def places() -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return a model of operators that take floats for places, and inputs that are in order."""
    nodes = [
        _node("GridSample", "image grid", "linear"),
        _node("GridSample", "image grid", "nearest", mode="nearest", padding_mode="border"),
        _node("DeformConv", "image one offset", "deformed", kernel_shape=[1, 1]),
        _node("RoiAlign", "image rois which", "mean", output_height=2, output_width=2),
        _node("RoiAlign", "image rois which", "largest", mode="max", sampling_ratio=2),
    ]
    generator = np.random.default_rng(0)
    inputs = {
        "image": generator.uniform(-1, 1, (1, 1, 4, 4)).astype(np.float32),
        "grid": generator.uniform(-1, 1, (1, 4, 4, 2)).astype(np.float32),
        "offset": generator.uniform(-1, 1, (1, 2, 4, 4)).astype(np.float32),
        "rois": np.array([[0, 0, 3, 3], [1, 2, 3, 9], [3, 3, 1, 1]], np.float32),
    }
    constants = {"one": np.ones((1, 1, 1, 1), np.float32), "which": np.zeros(3, np.int64)}
    graph = helper.make_graph(
        nodes,
        "places",
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape)
            for name, array in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(node.output[0]) for node in nodes],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    imports = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9), inputs
