"""What ``check`` says of a model: its figures per target, or every node that cannot be built."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from builder.errors import ModelRefused
from builder.model.inspection import Inspection
from builder.model.target import Target
from builder.model.tensor import TensorSpec
from builder.report.summary import aligned
from builder.report.wording import byte_size, failure_lines, safe

_COLUMNS = ("target", "weights", "activations", "inputs+outputs", "together")
_ITEMSIZE = {"bool": 1, "bfloat16": 2}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one instance of a model takes on a board, in bytes.

    ``weights`` are mapped read-only and shared between instances. ``activations`` is an upper
    estimate: fused kernels need less.
    """

    target: str
    weights: int
    embedded: bool  # in the library itself, not in a file beside it
    activations: int
    inputs_and_outputs: int

    @property
    def total(self) -> int:
        return self.weights + self.activations + self.inputs_and_outputs


def memory(inspection: Inspection, target: Target) -> Memory:
    """Return what ``inspection``'s model takes on ``target``."""
    return Memory(
        target=target.name,
        weights=inspection.weights_bytes,
        embedded=target.weights == "embedded",
        activations=inspection.activations_bytes,
        inputs_and_outputs=sum(map(_size, (*inspection.inputs, *inspection.outputs))),
    )


def ok_document(model: str, inspection: Inspection, memories: Sequence[Memory]) -> dict[str, Any]:
    """Return what ``check --json`` prints of a model that can be built."""
    return {
        "status": "ok",
        "model": model,
        **dataclasses.asdict(inspection),
        "operators": dict(inspection.operators),
        "targets": [dataclasses.asdict(each) | {"total": each.total} for each in memories],
        "error": None,
    }


def refused_document(model: str, failure: ModelRefused) -> dict[str, Any]:
    """Return what ``check --json`` prints of a model that cannot."""
    nodes = failure.details.get("nodes", [])
    return {"status": "refused", "model": model, "nodes": nodes, "error": failure.to_json()}


def ok_lines(model: str, inspection: Inspection, memories: Sequence[Memory]) -> list[str]:
    """Return the same for people."""
    operators = ", ".join(f"{count} {name}" for name, count in inspection.operators)
    facts = [
        *(("input", _spelled(spec)) for spec in inspection.inputs),
        *(("output", _spelled(spec)) for spec in inspection.outputs),
        ("parameters", f"{inspection.parameters:,} ({byte_size(inspection.weights_bytes)})"),
        ("operations", f"{_count(inspection.flops)} a run"),
        ("nodes", f"{operators} (opset {inspection.opset})"),
    ]
    table = [_COLUMNS, *map(_row, memories)]
    return [f"{safe(model)}: can be built", *aligned(facts), "", *aligned(table)]


def refused_lines(model: str, failure: ModelRefused) -> list[str]:
    """Return every refused node with its reason and what to do, for people."""
    nodes = failure.details.get("nodes", [])
    if not nodes:
        return [f"{safe(model)}: refused", *failure_lines(failure)]
    lines = [f"{safe(model)}: refused for {len(nodes)} node{'s' * (len(nodes) != 1)}"]
    for node in nodes:
        lines += ["", *map(safe, _node_lines(node))]
    return lines


def _node_lines(node: Mapping[str, Any]) -> list[str]:
    place = " > ".join((*node["path"], node["node"]))
    domain = node["domain"] or "ai.onnx"
    taken = ", ".join(_value(value) for value in node["inputs"])
    given = ", ".join(_value(value) for value in node["outputs"])
    return [
        f"{place}: {node['operator']} ({domain}, opset {node['opset']})",
        f"  {taken or 'nothing'} -> {given or 'nothing'}",
        f"  why: {node['why']} ({node['reason']})",
        f"  try: {node['suggestion']}",
    ]


def _value(value: Mapping[str, Any]) -> str:
    shape = "?" if value["shape"] is None else ", ".join(map(str, value["shape"]))
    return f"{value['name']} {value['dtype']} [{shape}]"


def _spelled(spec: TensorSpec) -> str:
    return safe(f"{spec.name}  {spec.dtype} {list(spec.shape)}")


def _row(each: Memory) -> tuple[str, ...]:
    return (
        each.target,
        byte_size(each.weights) + (" (in the library)" if each.embedded else ""),
        byte_size(each.activations),
        byte_size(each.inputs_and_outputs),
        byte_size(each.total),
    )


def _size(spec: TensorSpec) -> int:
    bits = "".join(filter(str.isdigit, spec.dtype))
    return math.prod(spec.shape) * (_ITEMSIZE.get(spec.dtype) or int(bits) // 8)


def _count(operations: int) -> str:
    count = float(operations)
    for unit in ("", "k", "M", "G"):
        if count < 1000:
            return f"{count:.3g} {unit}FLOP"
        count /= 1000
    return f"{count:.3g} TFLOP"
