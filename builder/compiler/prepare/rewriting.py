"""Nodes replaced by other nodes: what every rewrite sees of the model and how it writes into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from builder.compiler.node_names import node_name
from builder.compiler.prepare.skeleton import Skeleton
from builder.compiler.refusals import is_static, value_types
from builder.errors import BoardwrightError

Array = npt.NDArray[Any]
Operand = str | Array | np.generic
"""The name of a value, or a constant that is given a name."""

STANDARD = ("", "ai.onnx", "ai.onnx.ml")
"""Domains of operators that ONNX itself defines."""

_AXES_AS_INPUT_SINCE = {"ReduceSum": 13}
_OTHER_AXES_AS_INPUT_SINCE = 18


@dataclass(slots=True, kw_only=True)
class Graph:
    """A model while it is rewritten: types and constants by name, as they were before."""

    skeleton: Skeleton
    types: Mapping[str, onnx.TypeProto]
    constants: Mapping[str, onnx.TensorProto]
    opset: int
    taken: set[str]
    _numbers: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, skeleton: Skeleton) -> Graph:
        """Return the graph of a skeleton whose shapes have been inferred."""
        model = skeleton.model
        types = value_types(model.graph)
        outputs = {name for node in model.graph.node for name in node.output}
        return cls(
            skeleton=skeleton,
            types=types,
            constants={tensor.name: tensor for tensor in model.graph.initializer},
            opset=next(entry.version for entry in model.opset_import if not entry.domain),
            taken=outputs | set(types),
        )

    def value(self, name: str) -> Array | None:
        """Return a constant's value, None for anything else."""
        if name in self.constants:
            return np.asarray(numpy_helper.to_array(self.constants[name]))
        return self.skeleton.mapped(name) if name in self.skeleton.spans else None

    def fresh(self, stem: str) -> str:
        """Return a name that nothing has, which starts with ``stem``."""
        # Counted on from the last time: nodes that are all called the same stay cheap.
        name, number = stem, self._numbers.get(stem, 1)
        while name in self.taken:
            number += 1
            name = f"{stem}.{number}"
        self._numbers[stem] = number
        self.taken.add(name)
        return name

    def label(self, name: str, texts: tuple[str, ...]) -> None:
        """Note that a value is a text's index from now on."""
        self.skeleton.labels[name] = texts
        for output in self.skeleton.model.graph.output:
            if output.name == name:
                output.type.tensor_type.elem_type = onnx.TensorProto.INT64

    def add(self, stem: str, value: Array) -> str:
        """Give the model an initialiser whose name starts with ``stem``; return the name."""
        name = self.fresh(stem)
        self.skeleton.add(name, value)
        return name


@dataclass(slots=True, kw_only=True)
class Site:
    """One node that a rewrite looks at, and the nodes that are to stand in its place."""

    graph: Graph
    node: onnx.NodeProto
    name: str
    made: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def has(self, position: int) -> bool:
        """Say whether the node has this input at all."""
        return position < len(self.node.input) and bool(self.node.input[position])

    def wants(self, position: int) -> bool:
        """Say whether the node has this output at all."""
        return position < len(self.node.output) and bool(self.node.output[position])

    def value(self, position: int) -> Array | None:
        """Return an input's value where it is constant, None otherwise."""
        return self.graph.value(self.node.input[position]) if self.has(position) else None

    def is_known(self, *positions: int) -> bool:
        """Say whether these inputs are constant or not there."""
        return all(self.value(p) is not None for p in positions if self.has(p))

    def shape(self, position: int) -> tuple[int, ...] | None:
        """Return an input's shape where it is static, None otherwise."""
        return _shape(self.graph.types.get(self.node.input[position]))

    def rank(self, position: int) -> int:
        """Return how many axes an input has, where its type tells."""
        return len(self.graph.types[self.node.input[position]].tensor_type.shape.dim)

    def output_shape(self, position: int) -> tuple[int, ...] | None:
        """Return an output's shape where it is static, None otherwise."""
        return _shape(self.graph.types.get(self.node.output[position]))

    def dtype(self, position: int) -> np.dtype[Any]:
        """Return the element type of an input."""
        return _dtype(self.graph.types[self.node.input[position]])

    def output_dtype(self, position: int) -> np.dtype[Any]:
        """Return the element type of an output."""
        return _dtype(self.graph.types[self.node.output[position]])

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute as a Python value; strings are decoded."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def emit(
        self, operator: str, *operands: Operand, to: str | None = None, **attributes: Any
    ) -> str:
        """Add a node; return its output's name: ``to``, or a fresh one."""
        return self.emit_many(operator, *operands, to=(to,), **attributes)[0]

    def emit_many(
        self, operator: str, *operands: Operand, to: Sequence[str | None], **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs; return their names."""
        inputs = [self.constant(one) if not isinstance(one, str) else one for one in operands]
        outputs = [self.graph.fresh(f"{self.name}.{operator}") if n is None else n for n in to]
        name = f"{self.name}.{operator}{len(self.made)}"
        self.made.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs

    @property
    def version(self) -> int:
        """Return the version of the node's own operator set."""
        imports = self.graph.skeleton.model.opset_import
        return max((e.version for e in imports if e.domain == self.node.domain), default=1)

    def texts(self, name: str) -> list[str]:
        """Return an attribute of several texts."""
        return [
            text.decode() if isinstance(text, bytes) else text for text in self.attribute(name, ())
        ]

    def emit_labels(self, which: Operand, texts: Sequence[str], *, to: str) -> None:
        """Make ``to`` the texts that ``which`` counts: their indices, each text once."""
        unique = tuple(dict.fromkeys(texts))
        if len(unique) == len(texts):
            self.emit("Identity", which, to=to)
        else:
            places = np.asarray([unique.index(text) for text in texts], np.int64)
            self.emit("Gather", places, which, to=to)
        self.graph.label(to, unique)

    def is_static(self) -> bool:
        """Say whether the shapes of all outputs are known."""
        return all(self.output_shape(n) is not None for n in range(len(self.node.output)))

    def keep(
        self,
        inputs: Sequence[str],
        outputs: Mapping[str, tuple[int, Sequence[int]]],
        *,
        without: Sequence[str] = (),
        operator: str | None = None,
        **attributes: Any,
    ) -> list[str]:
        """Add the node once more, for a kernel of our own to take; return its outputs' names.

        ``outputs`` are stems with types and shapes, ``attributes`` take the place of ``without``.
        """
        kind = operator or self.node.op_type
        names = [self.graph.fresh(f"{self.name}.{stem}") for stem in outputs]
        name = self.name if operator is None else f"{self.name}.{kind}{len(self.made)}"
        made = helper.make_node(
            kind, inputs, names, name=name, domain=self.node.domain, **attributes
        )
        made.attribute.extend(a for a in self.node.attribute if a.name not in without)
        self.made.append(made)
        for called, (element, shape) in zip(names, outputs.values(), strict=True):
            value = helper.make_tensor_value_info(called, element, shape)
            self.graph.skeleton.kept[called] = value
        return names

    def again(self, inputs: Sequence[str], *, to: str | None = None) -> str:
        """Add the node itself once more, with other inputs and one output; return its name."""
        copy = onnx.NodeProto()
        copy.CopyFrom(self.node)
        copy.name = f"{self.name}.{self.node.op_type}{len(self.made)}"
        copy.input[:] = inputs
        copy.output[:] = [self.graph.fresh(f"{self.name}.again") if to is None else to]
        self.made.append(copy)
        return str(copy.output[0])

    def set_output(self, position: int, value: Array) -> None:
        """Make an output a constant."""
        self.constants[self.node.output[position]] = value

    def constant(self, value: Any) -> str:
        """Add a constant; return its name."""
        name = self.graph.fresh(f"{self.name}.constant")
        self.constants[name] = np.asarray(value)
        return name

    def reduce(self, kind: str, data: str, axes: Sequence[int], *, to: str | None = None) -> str:
        """Add ``Reduce<kind>`` with kept dimensions, spelled as the model's operator set does."""
        operator = f"Reduce{kind}"
        since = _AXES_AS_INPUT_SINCE.get(operator, _OTHER_AXES_AS_INPUT_SINCE)
        if self.graph.opset >= since:
            return self.emit(operator, data, np.asarray(axes, np.int64), to=to, keepdims=1)
        return self.emit(operator, data, to=to, axes=list(axes), keepdims=1)

    def reshape(self, data: str, shape: Sequence[int], *, to: str | None = None) -> str:
        """Add a Reshape to fixed extents."""
        return self.emit("Reshape", data, np.asarray(shape, np.int64), to=to)

    def cast(self, data: str, dtype: Any, *, to: str | None = None) -> str:
        """Add a Cast to a numpy type."""
        # Cast has an attribute of the name that emit gives to the output.
        output = self.graph.fresh(f"{self.name}.Cast") if to is None else to
        name = f"{self.name}.Cast{len(self.made)}"
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.made.append(helper.make_node("Cast", [data], [output], name=name, to=element))
        return output


class Tripped(Exception):
    """A rewrite raised what it did not foresee (the cause) at the node called ``node``."""

    def __init__(self, node: str, operator: str) -> None:
        super().__init__(node)
        self.node = node
        self.operator = operator


Rewrite = Callable[[Site], bool]
"""Replaces a site's node and returns True, or returns False and has done nothing."""


def rewrite(
    skeleton: Skeleton, table: Mapping[str, Rewrite], *, domains: Sequence[str] = STANDARD
) -> int:
    """Apply ``table`` (by operator) to every node of the outermost graph; return how many it took.

    Nodes of other domains are left as they are, and those whose rewrite returns False. Raises
    ``Tripped`` for a rewrite that raises.
    """
    graph = Graph.of(skeleton)
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Array] = {}
    count = 0
    for index, node in enumerate(skeleton.model.graph.node):
        site = Site(graph=graph, node=node, name=node_name(index, node))
        take = table.get(node.op_type) if node.domain in domains else None
        if take is None or not _taken(take, site):
            nodes.append(node)
            continue
        count += 1
        nodes += site.made
        constants |= site.constants
    if count:
        del skeleton.model.graph.node[:]
        skeleton.model.graph.node.extend(nodes)
        for name, value in constants.items():
            skeleton.add(name, value)
    return count


def _taken(take: Rewrite, site: Site) -> bool:
    try:
        return take(site)
    except (BoardwrightError, OSError, MemoryError):
        raise
    except Exception as error:
        raise Tripped(site.name, site.node.op_type) from error


def _shape(kind: onnx.TypeProto | None) -> tuple[int, ...] | None:
    if kind is None or not is_static(kind):
        return None
    return tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)


def _dtype(kind: onnx.TypeProto) -> np.dtype[Any]:
    found: np.dtype[Any] = helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
    return found
