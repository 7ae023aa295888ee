"""A prepared model and one kind of CPU -> kernels, plan and weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import onnx
import tvm

from builder.compiler import codegen, importing, lowering, passes, render, tuning
from builder.compiler.blame import blamed, kernel_blamed
from builder.compiler.kernels import dispatch
from builder.compiler.node_names import node_name
from builder.compiler.plan import StaticPlan
from builder.compiler.signature import read_signature
from builder.compiler.weights import WeightsWriter
from builder.errors import BoardwrightError
from builder.model.target import Cpu, CpuVariant, Platform
from builder.model.tuning import TunedTile, cpu_label
from builder.ports import Log
from builder.templating import environment


def compile_model(
    prepared: Path,
    *,
    platform: Platform,
    cpu: Cpu,
    templates: Path,
    output: Path,
    log: Log,
    symbols: str = "",
    tuned: Sequence[TunedTile] = (),
) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Compile`` describes.

    ``symbols`` starts the kernels' names, for models that are to stand in one program.
    """
    signature = read_signature(prepared)
    model = importing.read_prepared(prepared)
    names = [node_name(i, node) for i, node in enumerate(model.graph.node)]
    facts = facts_of(platform, cpu, log)
    mod = optimised(model, prepared, facts)
    with WeightsWriter(output / "weights.bin") as weights:
        plan = lowering.lower(mod, signature, names, weights)
    sets = [_kernel_set(each, number, symbols) for number, each in enumerate(cpu.sets)]
    choices = [tuning.choices(tuned, cpu_label(each), log) for each in cpu.sets]
    _write_kernels(mod, plan, sets, choices, facts, output / "kernels")
    text = render.plan_c(plan, sets, environment(templates))
    (output / "plan.c").write_text(text, encoding="utf-8")
    (output / "plan.json").write_text(render.plan_json(plan), encoding="utf-8")
    log(
        f"plan: {len(plan.calls)} calls, {plan.arena_bytes} B arena, {plan.weights_bytes} B weights"
    )


def facts_of(platform: Platform, cpu: Cpu, log: Log) -> passes.Facts:
    """Return what passes may know of the board."""
    targets = tuple(codegen.llvm_target(platform, each) for each in cpu.sets)
    return passes.Facts(platform=platform, cpu=cpu, targets=targets, log=log)


def optimised(model: onnx.ModelProto, prepared: Path, facts: passes.Facts) -> tvm.IRModule:
    """Import and optimise; a failure of TVM's names the ONNX node that it cannot take."""

    def attempt(part: onnx.ModelProto) -> tvm.IRModule:
        return passes.run(importing.import_model(part, prepared), facts)

    try:
        return attempt(model)
    except BoardwrightError:
        raise
    except Exception as error:  # TVM raises what it likes
        raise blamed(error, model, attempt) from error


def _write_kernels(
    mod: tvm.IRModule,
    plan: StaticPlan,
    sets: Sequence[render.KernelSet],
    choices: Sequence[dispatch.ChoiceOf],
    facts: passes.Facts,
    folder: Path,
) -> None:
    """Schedule the kernels for each CPU and write them to objects in ``folder``."""
    folder.mkdir()
    objects = []
    for target, kernels, choice_of in zip(facts.targets, sets, choices, strict=True):
        schedule = partial(passes.schedule, target=target, facts=facts, choice_of=choice_of)
        for number, names in enumerate(codegen.parts(call.kernel for call in plan.calls)):
            objects.append(
                codegen.KernelObject(
                    mod=mod,
                    names=names,
                    schedule=schedule,
                    target=target,
                    prefix=kernels.prefix,
                    path=folder / f"{kernels.mcpu}-{number}.o",
                )
            )
    try:
        codegen.write_objects(objects)
    except codegen.KernelFailed as failure:
        raise kernel_blamed(failure.kernel, failure.why, plan.calls) from failure


def _kernel_set(cpu: Cpu | CpuVariant, number: int, symbols: str) -> render.KernelSet:
    prefix = f"{symbols}v{number}_" if number else symbols
    return render.KernelSet(mcpu=cpu.mcpu, features=cpu.features, prefix=prefix)
