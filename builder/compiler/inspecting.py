"""A prepared model in figures, once it is known that every node of it converts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import onnx

from builder.compiler.flops import Shapes, flops
from builder.compiler.refusals import value_types
from builder.compiler.signature import read_signature
from builder.model.inspection import Inspection
from builder.model.tensor import Signature
from builder.ports import Log

INSPECTION = "inspection.json"


def inspect_model(prepared: Path, *, output: Path, log: Log) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Inspect`` describes.

    Raises ``ModelRefused`` naming every node that cannot be converted.
    """
    from builder.compiler import importing  # TVM, which the figures do not need

    model = importing.read_prepared(prepared)
    importing.import_model(model, prepared)
    found = figures(model, read_signature(prepared))
    log(f"inspection: {found.parameters} parameters, {found.flops} operations")
    text = json.dumps(dataclasses.asdict(found), indent=1) + "\n"
    (output / INSPECTION).write_text(text, encoding="utf-8")


def figures(model: onnx.ModelProto, signature: Signature) -> Inspection:
    """Return the figures of a prepared model: static, with all constants as initialisers."""
    graph = model.graph
    types = value_types(graph)
    shapes = {name: _shape(kind) for name, kind in types.items()}
    sizes = {name: math.prod(shapes[name]) * _itemsize(kind) for name, kind in types.items()}
    weights = [tensor.name for tensor in graph.initializer]
    operators = Counter(node.op_type for node in graph.node)
    return Inspection(
        inputs=signature.inputs,
        outputs=signature.outputs,
        opset=next((entry.version for entry in model.opset_import if not entry.domain), 0),
        operators=tuple(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        parameters=sum(math.prod(shapes[name]) for name in weights),
        weights_bytes=sum(sizes[name] for name in weights),
        flops=total_flops(graph, shapes),
        activations_bytes=peak_bytes(graph, sizes),
    )


def total_flops(graph: onnx.GraphProto, shapes: Shapes) -> int:
    """Return the operations of one run."""
    return sum(flops(node, shapes) for node in graph.node)


def peak_bytes(graph: onnx.GraphProto, sizes: Mapping[str, int]) -> int:
    """Return the most that values between nodes take at once; outputs are the caller's."""
    elsewhere = {v.name for v in (*graph.input, *graph.output, *graph.initializer)}
    last = {name: at for at, node in enumerate(graph.node) for name in node.input}
    live = peak = 0
    for at, node in enumerate(graph.node):
        made = {name for name in node.output if name in sizes} - elsewhere
        live += sum(sizes[name] for name in made)
        peak = max(peak, live)
        ended = {name for name in node.input if last[name] == at and name in sizes} - elsewhere
        live -= sum(sizes[name] for name in ended | {n for n in made if n not in last})
    return peak


def _shape(kind: onnx.TypeProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)


def _itemsize(kind: onnx.TypeProto) -> int:
    return int(onnx.helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type).itemsize)
