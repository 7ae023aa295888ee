"""The closed union of things that can be done, as values.

A step holds the steps it needs, so a plan is a set of goals and everything else follows; its key
(``builder.fingerprint``) is recursive for the same reason. Each step names the files its artifact
holds: that is the whole contract between one step and the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from builder.model.source import Source
from builder.model.target import Cpu, Emulator, Platform, Target
from builder.model.toolchain import Toolchain


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Any ONNX file to a static, simplified one with its signature and check data.

    Artifact: ``model.onnx`` and ``weights.data`` (initialisers as 64-byte aligned external data),
    ``signature.json`` (``model.tensor.Signature``), ``check/inputs/*.npy``,
    ``check/expected/*.npy`` (what ONNX Runtime computes on one thread), ``check/tolerance.txt``.
    """

    toolchain: Toolchain
    source: Source
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    check_inputs: Source | None  # an .npz; None: seeded random data in each input's type
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compile:
    """The prepared model to kernels and a static plan for one kind of CPU.

    Artifact: ``kernels/*.o`` (for each CPU), ``plan.c`` (data only, against
    ``templates/runtime/plan.h``), ``plan.json`` (the same for people and tools), ``weights.bin``
    (packed constants, 64-byte aligned).
    """

    toolchain: Toolchain
    prepared: Prepare
    platform: Platform
    cpu: Cpu


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRuntime:
    """The model-independent C of one platform: runtime objects and the runner.

    Artifact: ``runtime/*.o`` for the library, ``runner/*.o`` for ``bin/run``.
    """

    toolchain: Toolchain
    platform: Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Assemble:
    """Link, audit and lay out the bundle.

    Artifact: ``bundle/`` (layout in docs/bundle.md), ``bundle.tar.gz`` (deterministic),
    ``assembly.json`` (``model.artifact.Assembly``: sizes, digest, audit).
    """

    toolchain: Toolchain
    model_name: str
    target: Target
    compiled: Compile
    runtime: BuildRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Run the bundle, natively or emulated, and compare with ONNX Runtime's outputs.

    Artifact: ``verification.json`` (``model.artifact.Verification``).
    """

    toolchain: Toolchain
    assembled: Assemble
    where: Literal["native", "qemu"]
    emulator: Emulator | None


Step = Prepare | Compile | BuildRuntime | Assemble | Verify


def needs(step: Step) -> dict[str, Step]:
    """Return the steps whose artifacts ``step`` reads, by the name its job knows them under."""
    match step:
        case Prepare() | BuildRuntime():
            return {}
        case Compile():
            return {"prepared": step.prepared}
        case Assemble():
            return {
                "prepared": step.compiled.prepared,
                "compiled": step.compiled,
                "runtime": step.runtime,
            }
        case Verify():
            return {"assembled": step.assembled, "prepared": step.assembled.compiled.prepared}
    assert_never(step)
