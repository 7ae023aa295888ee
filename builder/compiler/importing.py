"""ONNX -> Relax, each binding named after the ONNX node it came from."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import onnx
import tvm
from onnx import TensorProto, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from builder.compiler import provenance, tensors
from builder.compiler.provenance import Nodes
from builder.compiler.weights import Span, read_span
from builder.errors import ModelRefused


def read_prepared(folder: Path) -> onnx.ModelProto:
    """Parse a prepared model without its external data."""
    return onnx.load(folder / "model.onnx", load_external_data=False)


def import_model(model: onnx.ModelProto, folder: Path) -> tvm.IRModule:
    """Return the model as Relax; weights are mapped from ``folder``.

    Raises ``ModelRefused`` naming every node whose operator has no conversion, or the one node
    whose conversion failed and why.
    """
    _refuse_unknown_operators(model.graph)
    importer = _Importer(folder)
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 13)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # renamed inputs: our own names stay in the signature
        mod = importer.from_onnx(model.graph, opset)
    return provenance.rename(mod, provenance.attributed(mod["main"], importer.origin))


def _refuse_unknown_operators(graph: onnx.GraphProto) -> None:
    known = onnx_frontend._get_convert_map()
    unknown = [
        (index, node)
        for index, node in enumerate(graph.node)
        if node.op_type not in known or node.domain not in ("", "ai.onnx")
    ]
    if unknown:
        nodes = [
            {"node": node_name(index, node), "operator": node.op_type, "domain": node.domain}
            for index, node in unknown
        ]
        listed = ", ".join(f"{entry['operator']} ({entry['node']})" for entry in nodes[:5])
        more = f" and {len(nodes) - 5} more" if len(nodes) > 5 else ""
        raise ModelRefused(
            f"unsupported operators: {listed}{more}",
            reason="unsupported-operator",
            remedy="replace these nodes in the exporting program",
            details={"nodes": nodes},
        )


def node_name(index: int, node: onnx.NodeProto) -> str:
    """Return what a person would call a node: its name, or its operator and first output."""
    return node.name or f"{node.op_type}#{index}:{node.output[0] if node.output else ''}"


class _Importer(onnx_frontend.ONNXGraphImporter):  # type: ignore[misc]
    """The stock importer, but each node is told apart and weights are read from their file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(shape_dict={}, dtype_dict="float32", keep_params_in_input=False)
        self._folder = folder
        self._position = 0
        self.origin: dict[relax.Var, Nodes] = {}

    def _construct_nodes(self, graph: onnx.GraphProto) -> None:
        for position, node in enumerate(graph.node):
            self._position = position
            single = onnx.GraphProto(node=[node])
            try:
                super()._construct_nodes(single)
            except Exception as error:  # converters raise whatever Python and TVM raise
                raise _unconvertible(position, node, error) from None

    def _convert_operator(
        self, op_name: str, inputs: list[relax.Expr], attrs: dict[str, Any], opset: int
    ) -> relax.Expr:
        """Convert as usual, then bind the result, so that its place in main tells its node."""
        value = _clip(op_name, list(inputs))
        if value is None:
            value = super()._convert_operator(op_name, inputs, attrs, opset)
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self._bound(field) for field in value.fields])
        return self._bound(value)

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


def _clip(op_name: str, inputs: list[relax.Expr | None]) -> relax.Expr | None:
    """Return Clip with constant bounds as one operator; the stock conversion is seven."""
    if op_name != "Clip":
        return None
    bounds = [None if bound is None else tensors.value(bound) for bound in inputs[1:]]
    if any(bound is None for bound in bounds) or len(bounds) != 2:
        return None
    low, high = (float(bound) for bound in bounds if bound is not None)
    return relax.op.clip(inputs[0], low, high)


def _unconvertible(position: int, node: onnx.NodeProto, error: Exception) -> ModelRefused:
    return ModelRefused(
        f"node {node_name(position, node)!r} ({node.op_type}) cannot be converted",
        reason="unconvertible-node",
        why=" ".join(str(error).split())[:300],
        remedy="replace this node in the exporting program",
        details={
            "node": node_name(position, node),
            "operator": node.op_type,
            "inputs": list(node.input),
            "outputs": list(node.output),
        },
    )
