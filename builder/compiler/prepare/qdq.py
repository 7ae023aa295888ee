"""Quantised networks in QDQ form: back to the integer operators that they stand for.

Exporters write DequantizeLinear, a float operator, QuantizeLinear. Computed as written, sums are
rounded differently from integer arithmetic, now and then by a whole step of the output. So each
such triple becomes the QLinear operator that ONNX Runtime also runs in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from builder.compiler.node_names import subgraphs
from builder.compiler.prepare import simplify
from builder.compiler.prepare.rewriting import Site, rewrite
from builder.compiler.prepare.skeleton import Skeleton, used_names

_EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))


def is_quantised(model: onnx.ModelProto) -> bool:
    """Say whether values are rounded to steps somewhere: small errors then grow to whole ones."""
    return any(
        node.op_type.startswith(("DynamicQuantize", "QGemm", "QLinear", "Quantize"))
        for node in model.graph.node
    )


def fuse_quantized(skeleton: Skeleton) -> None:
    """Replace DequantizeLinear, Conv or MatMul, QuantizeLinear by the integer operator."""
    if all(node.op_type != "QuantizeLinear" for node in skeleton.model.graph.node):
        return
    simplify.constants_to_initialisers(skeleton)
    simplify.infer_shapes(skeleton)
    graph = skeleton.model.graph
    around = _Surroundings(
        producers={output: node for node in graph.node for output in node.output},
        uses=_uses(graph),
    )
    rewrite(skeleton, {"QuantizeLinear": around.fuse})
    _drop_unused(skeleton)


def _uses(graph: onnx.GraphProto) -> dict[str, int]:
    uses = dict.fromkeys((value.name for value in graph.output), 1)
    for node in graph.node:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
    return uses


def _drop_unused(skeleton: Skeleton) -> None:
    """Drop nodes whose outputs nothing reads, the last ones first."""
    graph = skeleton.model.graph
    used = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if any(output in used for output in node.output):
            kept.append(node)
            used |= set(node.input)
            for _, inner in subgraphs(node):
                used |= used_names(inner)
    del graph.node[:]
    graph.node.extend(reversed(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantised:
    """A quantised value: its integers, their scale and their zero point."""

    integers: str
    scale: str
    zero_point: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """Who makes each value, and how many read it."""

    producers: Mapping[str, onnx.NodeProto]
    uses: Mapping[str, int]

    def fuse(self, site: Site) -> bool:
        """Replace a QuantizeLinear and what is before it."""
        result = self._result(site)
        operation = self._operation(site.node.input[0])
        if result is None or operation is None:
            return False
        operands = [self._dequantised(site, name) for name in operation.input[:2]]
        data, weight = [*operands, None, None][:2]
        if data is None or weight is None or not _is_scalar(site, data.scale):
            return False
        if operation.op_type == "Conv":
            return self._conv(site, operation, data, weight, result)
        inputs = _in_order(data, weight, result)
        if not _fits_matmul(site, weight):
            return False
        site.emit("QLinearMatMul", *inputs, to=site.node.output[0])
        return True

    def _result(self, site: Site) -> _Quantised | None:
        node = site.node
        if len(node.input) < 3 or not _is_scalar(site, node.input[1]):
            return None
        if site.output_dtype(0) not in _EIGHT_BITS:
            return None
        return _Quantised(integers=node.output[0], scale=node.input[1], zero_point=node.input[2])

    def _operation(self, name: str) -> onnx.NodeProto | None:
        """Return the Conv or MatMul that only this value shows."""
        node = self.producers.get(name)
        if node is None or self.uses[name] != 1 or node.op_type not in ("Conv", "MatMul"):
            return None
        return node

    def _dequantised(self, site: Site, name: str) -> _Quantised | None:
        node = self.producers.get(name)
        if node is None or node.op_type != "DequantizeLinear" or len(node.input) < 3:
            return None
        kind = site.graph.types.get(node.input[0])
        eight = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
        if kind is None or kind.tensor_type.elem_type not in eight:
            return None
        return _Quantised(integers=node.input[0], scale=node.input[1], zero_point=node.input[2])

    def _conv(
        self,
        site: Site,
        operation: onnx.NodeProto,
        data: _Quantised,
        weight: _Quantised,
        result: _Quantised,
    ) -> bool:
        inputs = _in_order(data, weight, result)
        if len(operation.input) > 2 and operation.input[2]:
            bias = self._bias(operation.input[2])
            if bias is None:
                return False
            inputs.append(bias)
        site.emit("QLinearConv", *inputs, to=site.node.output[0])
        site.made[-1].attribute.extend(operation.attribute)
        return True

    def _bias(self, name: str) -> str | None:
        """Return the integers of a bias: quantised by the product of the other scales."""
        node = self.producers.get(name)
        return node.input[0] if node is not None and node.op_type == "DequantizeLinear" else None


def _in_order(data: _Quantised, weight: _Quantised, result: _Quantised) -> list[str]:
    """Return the inputs that QLinearConv and QLinearMatMul begin with."""
    operands = [data.integers, data.scale, data.zero_point]
    operands += [weight.integers, weight.scale, weight.zero_point]
    return [*operands, result.scale, result.zero_point]


def _is_scalar(site: Site, name: str) -> bool:
    kind = site.graph.types.get(name)
    return kind is not None and all(d.dim_value == 1 for d in kind.tensor_type.shape.dim)


def _fits_matmul(site: Site, weight: _Quantised) -> bool:
    """Say whether the weight's scales are one, or one for each column."""
    kind = site.graph.types[weight.integers]
    return _is_scalar(site, weight.scale) or len(kind.tensor_type.shape.dim) == 2
