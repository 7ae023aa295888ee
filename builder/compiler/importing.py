"""ONNX -> Relax, each binding named after the ONNX node it came from."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import onnx
import tvm
from onnx import TensorProto, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from builder.compiler import operators, provenance, tensors
from builder.compiler.checks.guards import Guards, OutOfRange
from builder.compiler.node_names import Placed, node_name, nodes
from builder.compiler.operators.node import Node
from builder.compiler.provenance import Nodes
from builder.compiler.refusals import (
    CLASSICAL_DOMAIN,
    CLASSICAL_KEPT,
    STANDARD_DOMAINS,
    Refusal,
    Surveyor,
    is_static,
    refused,
)
from builder.compiler.weights import Span, read_span


def read_prepared(folder: Path) -> onnx.ModelProto:
    """Parse a prepared model without its external data."""
    return onnx.load(folder / "model.onnx", load_external_data=False)


def import_model(model: onnx.ModelProto, folder: Path) -> tvm.IRModule:
    """Return the model as Relax; weights are mapped from ``folder``.

    Raises ``ModelRefused`` naming every node whose operator has no conversion or whose conversion
    failed, and why.
    """
    importer = _Importer(folder, model, _unsupported_operators(model))
    mod = importer.imported()
    return provenance.rename(mod, provenance.attributed(mod["main"], importer.origin))


def all_refusals(
    model: onnx.ModelProto, folder: Path, known: Iterable[Refusal]
) -> tuple[Refusal, ...]:
    """Return ``known`` and what ``import_model`` refuses of the rest, in the order of the model."""
    importer = _Importer(folder, model, (*_unsupported_operators(model), *known))
    with contextlib.suppress(
        Exception
    ):  # it raises what is returned, or stumbles over what is known
        importer.imported()
    return importer.refusals()


def _unsupported_operators(model: onnx.ModelProto) -> tuple[Refusal, ...]:
    """Return the nodes, however deep, whose operator has no conversion."""
    known = {*onnx_frontend._get_convert_map(), *operators.CONVERTERS}
    surveyor = Surveyor.of(model)
    return tuple(
        surveyor.refusal(placed, "unsupported-operator", "there is no conversion for it")
        for placed in nodes(model.graph)
        if not _is_known(placed.node, known)
    )


def _is_known(node: onnx.NodeProto, known: Collection[str]) -> bool:
    if node.domain == CLASSICAL_DOMAIN:
        return node.op_type in CLASSICAL_KEPT
    return node.op_type in known and node.domain in STANDARD_DOMAINS


class _Importer(onnx_frontend.ONNXGraphImporter):  # type: ignore[misc]
    """The stock importer, but each node is told apart and weights are read from their file."""

    def __init__(self, folder: Path, model: onnx.ModelProto, refusals: Iterable[Refusal]) -> None:
        super().__init__(shape_dict={}, dtype_dict="float32", keep_params_in_input=False)
        self._folder = folder
        self._model = model
        self._surveyor = Surveyor.of(model)
        self._refused = {(refusal.path, refusal.node): refusal for refusal in refusals}
        self._position = 0
        self._placed = Placed(node=onnx.NodeProto(), name="", path=())
        self._guards = Guards(emit=self._bound)
        self.origin: dict[relax.Var, Nodes] = {}

    def imported(self) -> tvm.IRModule:
        """Return the model as Relax. Raises ``ModelRefused`` naming all nodes that are refused."""
        opset = next((entry.version for entry in self._model.opset_import if not entry.domain), 13)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # renamed inputs: our own names stay in the signature
            return self.from_onnx(self._model.graph, opset)

    def refusals(self) -> tuple[Refusal, ...]:
        """Return the refused nodes that are known so far, in the order of the model."""
        places = dict.fromkeys((one.path, one.name) for one in nodes(self._model.graph))
        return tuple(self._refused[place] for place in places if place in self._refused)

    def _construct_nodes(self, graph: onnx.GraphProto) -> None:
        """Convert node by node, going on after a failure, so that all failures are told at once."""
        for position, node in enumerate(graph.node):
            self._position = position
            placed = self._placed = Placed(node=node, name=node_name(position, node), path=())
            if ((), placed.name) in self._refused:
                self._stand_in(node)
                continue
            if any(name and name not in self._nodes for name in node.input):
                continue  # it follows from a node that failed and could not be stood in for
            single = onnx.GraphProto(node=[node])
            try:
                super()._construct_nodes(single)
            except OutOfRange as error:
                self._refuse(placed, "value-out-of-range", str(error))
            except Exception as error:  # converters raise whatever Python and TVM raise
                why = " ".join(str(error).split())[:300]
                self._refuse(placed, "unconvertible-node", why)
            else:
                self._guards.learn(node, self._converted, self._nodes)
        if self._refused:
            raise refused(self.refusals())

    def _refuse(self, placed: Placed, reason: str, why: str) -> None:
        self._refused[(), placed.name] = self._surveyor.refusal(placed, reason, why)
        self._stand_in(placed.node)

    def _check_for_unsupported_ops(self, graph: onnx.GraphProto) -> None:
        """Do nothing: ``_unsupported_operators`` also knows the conversions of our own."""

    def _parse_graph_input(self, graph: onnx.GraphProto) -> None:
        """Make the inputs parameters; the stock importer takes an extent of 0 for unknown."""
        for value in graph.input:
            tensor = value.type.tensor_type
            shape = [dim.dim_value for dim in tensor.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
            var = self._new_var(self._sanitize_name(value.name), shape, dtype)
            self._nodes[value.name] = self._inputs[value.name] = var
            self._num_input += 1

    def _stand_in(self, node: onnx.NodeProto) -> None:
        """Give a failed node's outputs values of their type, for the nodes after it to convert."""
        for name in node.output:
            kind = self._surveyor.types.get(name)
            if name and kind is not None and is_static(kind):
                shape = [dim.dim_value for dim in kind.tensor_type.shape.dim]
                dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
                self._nodes[name] = self._new_var("failed", shape, dtype.name)

    def _convert_operator(
        self, op_name: str, inputs: list[relax.Expr], attrs: dict[str, Any], opset: int
    ) -> relax.Expr:
        """Convert as usual, then bind the result, so that its place in main tells its node."""
        node = self._converted = Node(
            operator=op_name,
            builder=self.bb,
            inputs=inputs,
            attributes=attrs,
            opset=opset,
        )
        self._check_operands(node, inputs)
        value = operators.convert(node)
        if value is not None:
            value = self.bb.normalize(value)
        else:
            value = super()._convert_operator(op_name, inputs, attrs, opset)
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self._bound(field) for field in value.fields])
        return self._bound(value)

    def _check_operands(self, node: Node, inputs: list[relax.Expr]) -> None:
        """Have ``inputs``, and who reads the same later, read operands behind their checks."""
        names = list(self._placed.node.input)
        made = self._guards.guard(self._placed, node)
        for name, operand in made.items():
            self._nodes[name] = operand
            for position, given in enumerate(names):
                if given == name:
                    inputs[position] = operand

    def _bound(self, value: relax.Expr) -> relax.Expr:
        if not isinstance(value, relax.Call | relax.TupleGetItem):
            return value
        var = self.bb.emit(value)
        self.origin[var] = (self._position,)
        return var

    def _parse_array(self, tensor_proto: TensorProto) -> tvm.runtime.Tensor:
        if tensor_proto.data_location != TensorProto.EXTERNAL:
            return tensors.tensor(numpy_helper.to_array(tensor_proto))
        entries = {entry.key: entry.value for entry in tensor_proto.external_data}
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor_proto.data_type)
        span = Span(
            offset=int(entries["offset"]),
            size_bytes=int(entries["length"]),
            shape=tuple(tensor_proto.dims),
            dtype=dtype.name,
        )
        return tensors.tensor(read_span(self._folder / entries["location"], span))
