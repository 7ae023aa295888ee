"""The optimisation pipeline: named passes, in order, each a module to a module.

A pass that makes the code faster is one more line of ``PIPELINE``. ``Facts`` is all a pass may know
about the board.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tvm
from tvm import relax

from builder.compiler import (
    blocking,
    constants,
    fusing,
    legalize,
    provenance,
    siblings,
    vector_math,
)
from builder.compiler.kernels import dispatch, work
from builder.compiler.vector_unit import VectorUnit, vector_unit
from builder.model.target import Cpu, Platform
from builder.ports import Log

Transform = relax.transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the machines the code is for, and where a pass may say what it did.

    ``targets`` are the CPUs that kernels are written for, the least first.
    """

    platform: Platform
    cpu: Cpu
    targets: tuple[tvm.target.Target, ...]
    log: Log

    @property
    def block(self) -> int:
        """Channels of a block: a vector of the best CPU, whole vectors of the others."""
        return max(self.unit(target).lanes for target in self.targets)

    def unit(self, target: tvm.target.Target) -> VectorUnit:
        return vector_unit(self.platform.arch, target)


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
    return blocking.to_blocks(mod, facts.block, use_winograd=True)


PIPELINE: tuple[Pass, ...] = (
    _stock("decompose", Transform.DecomposeOpsForInference),
    _stock("canonicalize", Transform.CanonicalizeBindings),
    Pass(name="fold-constants", apply=constants.fold),
    Pass(name="merge-siblings", apply=lambda mod, facts: siblings.merge(mod, facts.block)),
    Pass(name="block-channels", apply=_block),
    _stock("drop-dead-operators", Transform.DeadCodeElimination),
    _stock("canonicalize-again", Transform.CanonicalizeBindings),
    Pass(name="legalize", apply=legalize.legalize),
    _stock("annotate-patterns", Transform.AnnotateTIROpPattern),
    Pass(name="cut-long-chains", apply=fusing.cut_long_chains),
    Pass(name="fuse", apply=_fuse),
    _stock("fuse-tir", Transform.FuseTIR),
    _stock("drop-dead-kernels", Transform.DeadCodeElimination),
    _stock("reshapes-to-views", Transform.RewriteDataflowReshape),
)


def run(mod: tvm.IRModule, facts: Facts) -> tvm.IRModule:
    """Apply the pipeline; return a module of call_tir bindings and kernels without a schedule."""
    vector_math.register()
    with facts.targets[0]:
        for step in PIPELINE:
            mod = step.apply(mod, facts)
            facts.log(f"pass {step.name}: {len(mod.functions)} functions")
    return mod


def schedule(
    mod: tvm.IRModule,
    target: tvm.target.Target,
    facts: Facts,
    choice_of: dispatch.ChoiceOf = dispatch.first,
) -> tvm.IRModule:
    """Return ``mod`` with its kernels scheduled for one of the targets."""
    several = facts.cpu.cores > 1
    with target:
        return dispatch.schedule_all(
            mod,
            facts.unit(target),
            lambda kernel: several and work.is_worth_splitting(kernel),
            facts.log,
            choice_of,
        )
