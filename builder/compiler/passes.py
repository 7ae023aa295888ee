"""The optimisation pipeline: named passes, in order, each a module to a module.

A pass that makes the code faster is one more line of ``PIPELINE``. ``Facts`` is all a pass may know
about the board.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tvm
from tvm import relax

from builder.compiler import blocking, constants, provenance, vector_math
from builder.compiler.kernels import dispatch, work
from builder.compiler.vector_unit import VectorUnit, vector_unit
from builder.model.target import Cpu, Platform
from builder.ports import Log

Transform = relax.transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the machine the code is for, and where a pass may say what it did."""

    platform: Platform
    cpu: Cpu
    target: tvm.target.Target
    log: Log

    @property
    def unit(self) -> VectorUnit:
        return vector_unit(self.platform.arch, self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One named step of the pipeline."""

    name: str
    apply: Callable[[tvm.IRModule, Facts], tvm.IRModule]


def _stock(name: str, transform: Callable[[], tvm.ir.transform.Pass]) -> Pass:
    return Pass(name=name, apply=lambda mod, _facts: transform()(mod))


def _fuse(mod: tvm.IRModule, _facts: Facts) -> tvm.IRModule:
    return provenance.after_fusion(mod, Transform.FuseOps()(mod))


def _block(mod: tvm.IRModule, facts: Facts) -> tvm.IRModule:
    return blocking.to_blocks(mod, facts.unit, use_winograd=True)


def _schedule(mod: tvm.IRModule, facts: Facts) -> tvm.IRModule:
    cores = facts.cpu.cores
    return dispatch.schedule_all(
        mod, facts.unit, lambda kernel: cores > 1 and work.is_worth_splitting(kernel), facts.log
    )


PIPELINE: tuple[Pass, ...] = (
    _stock("decompose", Transform.DecomposeOpsForInference),
    _stock("canonicalize", Transform.CanonicalizeBindings),
    Pass(name="fold-constants", apply=constants.fold),
    Pass(name="block-channels", apply=_block),
    _stock("drop-dead-operators", Transform.DeadCodeElimination),
    _stock("canonicalize-again", Transform.CanonicalizeBindings),
    _stock("legalize", Transform.LegalizeOps),
    _stock("annotate-patterns", Transform.AnnotateTIROpPattern),
    Pass(name="fuse", apply=_fuse),
    _stock("fuse-tir", Transform.FuseTIR),
    _stock("drop-dead-kernels", Transform.DeadCodeElimination),
    _stock("reshapes-to-views", Transform.RewriteDataflowReshape),
    Pass(name="schedule", apply=_schedule),
)


def run(mod: tvm.IRModule, facts: Facts) -> tvm.IRModule:
    """Apply the pipeline and return a module of call_tir bindings and scheduled kernels."""
    vector_math.register()
    with facts.target:
        for step in PIPELINE:
            mod = step.apply(mod, facts)
            facts.log(f"pass {step.name}: {len(mod.functions)} functions")
    return mod
