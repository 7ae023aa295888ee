"""A prepared model and one kind of CPU -> kernels, plan and weights."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from builder.compiler import codegen, importing, lowering, passes, render
from builder.compiler.weights import WeightsWriter
from builder.model.target import Cpu, Platform
from builder.model.tensor import Signature
from builder.ports import Log
from builder.templating import environment


def compile_model(
    prepared: Path, *, platform: Platform, cpu: Cpu, templates: Path, output: Path, log: Log
) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Compile`` describes."""
    signature = read_signature(prepared)
    model = importing.read_prepared(prepared)
    names = [importing.node_name(i, node) for i, node in enumerate(model.graph.node)]
    target = codegen.llvm_target(platform, cpu)
    mod = importing.import_model(model, prepared)
    mod = passes.run(mod, passes.Facts(platform=platform, cpu=cpu, target=target, log=log))
    with WeightsWriter(output / "weights.bin") as weights:
        plan = lowering.lower(mod, signature, names, weights)
    codegen.write_kernels(mod, (call.kernel for call in plan.calls), target, output / "kernels.o")
    text = render.plan_c(plan, cpu.features, environment(templates))
    (output / "plan.c").write_text(text, encoding="utf-8")
    (output / "plan.json").write_text(render.plan_json(plan), encoding="utf-8")
    log(
        f"plan: {len(plan.calls)} calls, {plan.arena_bytes} B arena, {plan.weights_bytes} B weights"
    )


def read_signature(prepared: Path) -> Signature:
    """Read back the signature that the preparation wrote."""
    document = json.loads((prepared / "signature.json").read_text(encoding="utf-8"))
    return TypeAdapter(Signature).validate_python(document)
