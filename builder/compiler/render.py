"""StaticPlan -> plan.c (data for the runtime) and plan.json (the same for people and tools)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment

from builder.compiler.plan import DATA_TYPES, Check, StaticPlan, View
from builder.model.tensor import TensorSpec

SYMBOL_PREFIX = "__tvm_ffi_"
"""TVM puts this before a PrimFunc's name to make its symbol."""

_LEAST = -(2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSet:
    """The kernels of one CPU: what starts their names, and the features they need."""

    mcpu: str
    features: tuple[str, ...]
    prefix: str


def plan_c(plan: StaticPlan, cpus: Sequence[KernelSet], templates: Environment) -> str:
    """Return the C source of ``plan``, to be compiled with BW_MODEL_NAME and BW_TARGET_NAME.

    The first of ``cpus`` is what every machine must have, the last is the best.
    """
    tables = _Tables()
    calls = [
        {
            "kernel": call.kernel,
            "nodes": "\n".join(_one_line(node) for node in call.nodes),
            "first": sum(len(earlier.views) for earlier in plan.calls[:position]),
            "views": [tables.view(view) for view in call.views],
            "results": call.results,
        }
        for position, call in enumerate(plan.calls)
    ]
    checks = [tables.check(check) for check in plan.checks]
    copies = [{"view": tables.view(copy.source), "output": copy.output} for copy in plan.copies]
    inputs = [tables.tensor(spec) for spec in plan.signature.inputs]
    outputs = [tables.tensor(spec) for spec in plan.signature.outputs]
    return templates.get_template("plan.c.j2").render(
        prefix=SYMBOL_PREFIX,
        kernels=sorted({call.kernel for call in plan.calls}),
        calls=calls,
        checks=checks,
        bounds=tables.bounds,
        copies=copies,
        inputs=inputs,
        outputs=outputs,
        views=tables.views,
        shapes=tuple(tables.shapes),
        cpus=cpus,
        arena_bytes=plan.arena_bytes,
        weights_bytes=plan.weights_bytes,
        weights_xxh64=plan.weights_xxh64,
    )


def plan_json(plan: StaticPlan) -> str:
    """Return the plan as JSON, calls in order, each view spelled out."""
    document = {
        "arena_bytes": plan.arena_bytes,
        "weights_bytes": plan.weights_bytes,
        "calls": [
            {
                "kernel": call.kernel,
                "nodes": list(call.nodes),
                "views": [_spelled(view) for view in call.views],
                "results": call.results,
            }
            for call in plan.calls
        ],
        "checks": [_spelled_check(check) for check in plan.checks],
        "copies": [{"from": _spelled(copy.source), "output": copy.output} for copy in plan.copies],
    }
    return json.dumps(document, indent=1) + "\n"


@dataclass(slots=True)
class _Tables:
    """The tables of plan.c: equal shapes and equal views are written once."""

    shapes: dict[tuple[int, ...], int] = field(default_factory=dict)
    views: list[dict[str, Any]] = field(default_factory=list)
    bounds: list[tuple[str, str]] = field(default_factory=list)
    _known: dict[View, int] = field(default_factory=dict)
    _extent_count: int = 0

    def extents(self, shape: tuple[int, ...]) -> int:
        if shape not in self.shapes:
            self.shapes[shape] = self._extent_count
            self._extent_count += len(shape)
        return self.shapes[shape]

    def view(self, view: View) -> int:
        if view not in self._known:
            self._known[view] = len(self.views)
            kind = DATA_TYPES[view.dtype]
            self.views.append(
                {
                    "place": view.place.value,
                    "code": kind.code,
                    "bits": kind.bits,
                    "ndim": len(view.shape),
                    "index": view.index,
                    "offset": view.offset,
                    "size_bytes": view.size_bytes,
                    "extents": self.extents(view.shape),
                }
            )
        return self._known[view]

    def check(self, check: Check) -> dict[str, Any]:
        first = len(self.bounds)
        self.bounds += [(_literal(low), _literal(high)) for low, high in check.bounds]
        return {
            "view": self.view(check.view),
            "before": check.before,
            "first": first,
            "count": len(check.bounds),
            "what": check.what,
            "node": _one_line(check.node),
            "tensor": _one_line(check.tensor),
        }

    def tensor(self, spec: TensorSpec) -> dict[str, Any]:
        kind = DATA_TYPES[spec.dtype]
        return {
            "name": spec.name,
            "file": spec.file,
            "constant": kind.constant,
            "ndim": len(spec.shape),
            "extents": self.extents(spec.shape),
            "size_bytes": math.prod(spec.shape) * kind.size_bytes,
        }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _literal(number: int) -> str:
    """Spell an int64 in C, which has no literal for the least of them."""
    return f"{number + 1}ll - 1" if number == _LEAST else f"{number}ll"


def _spelled_check(check: Check) -> dict[str, Any]:
    return {
        "view": _spelled(check.view),
        "before": check.before,
        "what": check.what,
        "bounds": [list(bound) for bound in check.bounds],
        "node": check.node,
        "tensor": check.tensor,
    }


def _spelled(view: View) -> str:
    shape = "x".join(map(str, view.shape)) or "scalar"
    return f"{view.place.name.lower()}[{view.index}]+{view.offset} {view.dtype} {shape}"
