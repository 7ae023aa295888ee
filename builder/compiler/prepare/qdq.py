"""Quantised networks in QDQ form: back to the integer operators that they stand for.

Exporters write DequantizeLinear, a float operator, QuantizeLinear. Computed as written, sums are
rounded differently from integer arithmetic, now and then by a whole step of the output. So each
such triple becomes the QLinear operator that ONNX Runtime also runs in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from builder.compiler.node_names import subgraphs
from builder.compiler.prepare import simplify
from builder.compiler.prepare.rewriting import Array, Site, rewrite
from builder.compiler.prepare.skeleton import Skeleton, used_names
from builder.compiler.refusals import is_static

_EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))

_SAME_SCALE = 1e-4
"""How far the scale of a bias may be from the product it stands for: exporters round it."""


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
    """A quantised value: its integers, their scale and their zero point, by channel of ``axis``."""

    integers: str
    scale: str
    zero_point: str
    axis: int


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
        if not _fits(site, operation, weight):
            return False
        if operation.op_type == "Conv":
            return self._conv(site, operation, data, weight, result)
        site.emit("QLinearMatMul", *_in_order(data, weight, result), to=site.node.output[0])
        return True

    def _result(self, site: Site) -> _Quantised | None:
        node = site.node
        if len(node.input) < 3 or not _is_scalar(site, node.input[1]):
            return None
        if site.output_dtype(0) not in _EIGHT_BITS:
            return None
        return _quantised(node, node.output[0])

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
        eight = (TensorProto.INT8, TensorProto.UINT8)
        if _element(site, node.input[0]) not in eight or not _is_float32(site, node):
            return None
        return _quantised(node, node.input[0])

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
            bias = self._bias(site, operation.input[2], (data, weight))
            if bias is None:
                return False
            inputs.append(bias)
        site.emit("QLinearConv", *inputs, to=site.node.output[0])
        site.made[-1].attribute.extend(operation.attribute)
        return True

    def _bias(self, site: Site, name: str, operands: tuple[_Quantised, _Quantised]) -> str | None:
        """Return the integers of a bias that is quantised by the product of the other scales.

        QLinearConv takes no scale and no zero point for it; a bias with its own stays a float.
        """
        node = self.producers.get(name)
        if node is None or node.op_type != "DequantizeLinear":
            return None
        if _element(site, node.input[0]) != TensorProto.INT32:
            return None
        zero_point = site.graph.value(node.input[2]) if any(node.input[2:]) else np.int32(0)
        if zero_point is None or zero_point.any():
            return None
        scales = [site.graph.value(one.scale) for one in operands]
        own = site.graph.value(node.input[1])
        return node.input[0] if _is_product(own, scales) else None


def _quantised(node: onnx.NodeProto, integers: str) -> _Quantised:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    return _Quantised(integers=integers, scale=node.input[1], zero_point=node.input[2], axis=axis)


def _in_order(data: _Quantised, weight: _Quantised, result: _Quantised) -> list[str]:
    """Return the inputs that QLinearConv and QLinearMatMul begin with."""
    operands = [data.integers, data.scale, data.zero_point]
    operands += [weight.integers, weight.scale, weight.zero_point]
    return [*operands, result.scale, result.zero_point]


def _is_product(own: Array | None, scales: Sequence[Array | None]) -> bool:
    """Say whether a scale is the product of two others, one for each channel or one for all."""
    data, weight = scales
    if own is None or data is None or weight is None:
        return False
    if own.ndim > 1 or weight.ndim > 1 or (own.size > 1 and own.size != weight.size > 1):
        return False
    product = data.astype(np.float64).reshape(-1) * weight.astype(np.float64).reshape(-1)
    return bool(np.allclose(own.reshape(-1), product, rtol=_SAME_SCALE, atol=0))


def _element(site: Site, name: str) -> int:
    kind = site.graph.types.get(name)
    return int(kind.tensor_type.elem_type) if kind is not None else TensorProto.UNDEFINED


def _is_float32(site: Site, node: onnx.NodeProto) -> bool:
    """Say whether a node dequantises to float32: integer operators have no other scales."""
    return {_element(site, name) for name in (node.input[1], node.output[0])} == {TensorProto.FLOAT}


def _is_scalar(site: Site, name: str) -> bool:
    """Say whether a scale is one float32."""
    kind = site.graph.types.get(name)
    if kind is None or not is_static(kind) or _element(site, name) != TensorProto.FLOAT:
        return False
    return all(dim.dim_value == 1 for dim in kind.tensor_type.shape.dim)


def _fits(site: Site, operation: onnx.NodeProto, weight: _Quantised) -> bool:
    """Say whether the weight's scales are one, or one for each filter or column."""
    if _is_scalar(site, weight.scale):
        return True
    ranks = [
        len(site.graph.types[n].tensor_type.shape.dim) for n in (weight.scale, weight.integers)
    ]
    if operation.op_type == "Conv":
        return ranks[0] == 1 and weight.axis % ranks[1] == 0
    return ranks == [1, 2] and weight.axis % ranks[1] == 1
