"""float16 and bfloat16 computed in float32.

Few CPUs compute in 16 bits, and sums in 16 bits lose what makes a result right; ONNX Runtime
converts around each operator as well. Here the whole graph is widened once: inputs and outputs keep
their type, weights and everything between are float32. What a model itself rounds to 16 bits by
Cast stays rounded, and so are results where ONNX Runtime takes them as they are: by IsInf and by
Cast to integers. There and at outputs, what 16 bits do not hold is infinite.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from builder.compiler.node_names import node_name
from builder.compiler.prepare.rewriting import Graph
from builder.compiler.prepare.skeleton import Skeleton

HALVES = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16})

_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, *HALVES}

_LARGEST = {TensorProto.FLOAT16: 65504.0, TensorProto.BFLOAT16: 3.3895313892515355e38}

_BY_BITS = frozenset({"BitCast"})
"""Operators that mean the bits of a value, not its number."""


def widen_halves(skeleton: Skeleton) -> None:
    """Compute 16-bit floats in 32 bits, where the model has any."""
    graph = Graph.of(skeleton)
    halves = {
        name: kind.tensor_type.elem_type
        for name, kind in graph.types.items()
        if kind.tensor_type.elem_type in HALVES
    }
    if not halves:
        return
    _Widening(graph=graph, halves=halves).apply()


def _takes_halves(node: onnx.NodeProto) -> bool:
    """Tell whether ONNX Runtime rounds what a node is given to 16 bits before."""
    if node.op_type == "IsInf":
        return True
    kinds = {attribute.i for attribute in node.attribute if attribute.name == "to"}
    return node.op_type == "Cast" and not kinds & _FLOATS


class _Widening:
    """The rewrite of one model; ``halves`` are the 16-bit values with their types."""

    def __init__(self, graph: Graph, halves: dict[str, int]) -> None:
        self._graph = graph
        self._halves = halves
        self._model = graph.skeleton.model
        self._outputs = {value.name for value in self._model.graph.output}
        self._wide: dict[str, str] = {}
        self._nodes: list[onnx.NodeProto] = []

    def apply(self) -> None:
        skeleton = self._graph.skeleton
        for value in self._model.graph.input:
            if value.name in self._halves and value.name not in skeleton.spans:
                self._enter(value.name)
        constants = {*self._graph.constants, *skeleton.spans} & self._halves.keys()
        for name in sorted(constants):
            self._widen_constant(name)
        for index, node in enumerate(self._model.graph.node):
            self._rewrite(node, node_name(index, node))
        skeleton.drop(constants - self._outputs)
        del self._model.graph.node[:], self._model.graph.value_info[:]
        self._model.graph.node.extend(self._nodes)

    def _enter(self, name: str) -> None:
        """Convert an input where the graph begins."""
        self._wide[name] = self._graph.fresh(f"{name}.float32")
        self._cast(name, self._wide[name], TensorProto.FLOAT, f"{name}.widen")

    def _widen_constant(self, name: str) -> None:
        value = self._graph.value(name)
        assert value is not None
        self._wide[name] = self._graph.add(f"{name}.float32", np.asarray(value, np.float32))

    def _rewrite(self, node: onnx.NodeProto, name: str) -> None:
        if node.op_type in _BY_BITS:
            self._by_bits(node, name)
            return
        if node.op_type == "Cast" and node.output[0] in self._halves:
            self._round(node, name)
            return
        outputs = list(node.output)
        if _takes_halves(node) and node.input[0] in self._halves:
            node.input[0] = self._rounded(node.input[0], name)
        if node.op_type == "Clip" and node.input[0] in self._halves:
            self._bound(node)
        node.input[:] = [self._wide.get(one, one) for one in node.input]
        node.output[:] = [self._widened(one) for one in outputs]
        _widen_attributes(node)
        self._nodes.append(node)
        self._narrow_outputs(outputs, name)

    def _rounded(self, source: str, name: str) -> str:
        """Return a 16-bit value rounded to its type, in float32."""
        narrow = self._graph.fresh(f"{source}.narrow")
        wide = self._graph.fresh(f"{source}.rounded")
        self._cast(self._wide[source], narrow, self._halves[source], f"{name}.narrow")
        self._cast(narrow, wide, TensorProto.FLOAT, f"{name}.widen")
        return wide

    def _bound(self, node: onnx.NodeProto) -> None:
        """Give a Clip the bounds that it leaves to its type."""
        node.input.extend([""] * (3 - len(node.input)))
        most = _LARGEST[self._halves[node.input[0]]]
        for position, bound in ((1, -most), (2, most)):
            if not node.input[position]:
                value = np.asarray(bound, np.float32)
                node.input[position] = self._graph.add(f"{node.output[0]}.bound", value)

    def _widened(self, output: str) -> str:
        """Return the name of an output's wide form; inside the graph it keeps its own."""
        if output not in self._halves:
            return output
        wide = self._graph.fresh(f"{output}.float32") if output in self._outputs else output
        self._wide[output] = wide
        return wide

    def _narrow_outputs(self, outputs: list[str], name: str) -> None:
        for output in outputs:
            if output in self._outputs and output in self._halves:
                self._cast(self._wide[output], output, self._halves[output], f"{name}.narrow")

    def _round(self, node: onnx.NodeProto, name: str) -> None:
        """Keep the rounding of a Cast to 16 bits: to them, and back."""
        output = node.output[0]
        node.input[:] = [self._wide.get(one, one) for one in node.input]
        if output not in self._outputs:
            node.output[0] = self._graph.fresh(f"{output}.rounded")
        self._nodes.append(node)
        self._wide[output] = self._graph.fresh(f"{output}.float32")
        self._cast(node.output[0], self._wide[output], TensorProto.FLOAT, f"{name}.widen")

    def _by_bits(self, node: onnx.NodeProto, name: str) -> None:
        """Leave a node with 16-bit values around it."""
        for position, one in enumerate(node.input):
            if one in self._halves:
                narrow = self._graph.fresh(f"{one}.narrow")
                self._cast(self._wide[one], narrow, self._halves[one], f"{name}.narrow")
                node.input[position] = narrow
        self._nodes.append(node)
        for one in node.output:
            if one in self._halves:
                self._enter(one)

    def _cast(self, source: str, to: str, element: int, name: str) -> None:
        self._nodes.append(helper.make_node("Cast", [source], [to], name=name, to=element))


def _widen_attributes(node: onnx.NodeProto) -> None:
    """Make a node that states a 16-bit type state float32."""
    for attribute in node.attribute:
        if attribute.name in ("dtype", "output_dtype", "stash_type") and attribute.i in HALVES:
            attribute.i = TensorProto.FLOAT
        if attribute.HasField("t") and attribute.t.data_type in HALVES:
            value = onnx.numpy_helper.to_array(attribute.t).astype(np.float32)
            attribute.t.CopyFrom(onnx.numpy_helper.from_array(value))
