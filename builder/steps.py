"""The closed union of things that can be done, as values.

A step holds the steps it needs, so a plan is a set of goals and everything else follows; its key
(``builder.fingerprint``) is recursive for the same reason. Each step names the files its artifact
holds: that is the whole contract between one step and the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, assert_never

from builder.model.binding import Binding
from builder.model.model_limits import DEFAULT_LIMITS, ModelLimits
from builder.model.source import Source
from builder.model.target import Cpu, Emulator, Platform, Target
from builder.model.toolchain import Toolchain
from builder.model.tuning import TunedTile


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Any ONNX file to a static, simplified one with its signature and check data.

    Artifact: ``model.onnx`` and ``weights.data`` (initialisers as 64-byte aligned external data),
    ``signature.json`` (``model.tensor.Signature``), ``check/inputs/*.npy``,
    ``check/expected/*.npy`` (what ONNX Runtime computes on one thread), ``check/tolerance.txt``;
    ``sets/NAME/`` (the same for further inputs) and ``sets.json`` (a list of
    ``compiler.set_list.CheckSet``); ``cautions.json`` (a list of ``model.artifact.Caution``);
    ``as-given.onnx`` (the model before, over the same weights) and ``frozen/*.npy``.
    """

    toolchain: Toolchain
    source: Source
    binding: Binding
    frozen_inputs: Source | None  # an .npz of values that inputs are frozen to
    check_inputs: Source | None  # an .npz; None: seeded random data in each input's type
    seed: int
    # What is refused is no artifact, so what is not does not depend on this.
    limits: ModelLimits = field(default=DEFAULT_LIMITS, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """See whether every node of the prepared model converts, and count what it needs.

    Artifact: ``inspection.json`` (``model.inspection.Inspection``).
    """

    toolchain: Toolchain
    prepared: Prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Compile:
    """The prepared model to kernels and a static plan for one kind of CPU.

    ``tuned`` are tiles that were measured on its CPUs; those of kernels it has not do nothing.

    Artifact: ``kernels/*.o`` (for each CPU), ``plan.c`` (data only, against
    ``templates/runtime/plan.h``), ``plan.json`` (the same for people and tools), ``weights.bin``
    (packed constants, 64-byte aligned).
    """

    toolchain: Toolchain
    prepared: Prepare
    platform: Platform
    cpu: Cpu
    tuned: tuple[TunedTile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """Find the fastest tiles of the prepared model's kernels by running them, here and now.

    What it finds depends on the hour, so it is performed but never stored. Each
    ``model.tuning.Finding`` is told as a log line as soon as it is made. ``mcpu`` names which of
    the CPU's kernel sets runs, ``known`` are kernels that need no measuring.

    Artifact: ``findings.json``, all of them.
    """

    toolchain: Toolchain
    prepared: Prepare
    platform: Platform
    cpu: Cpu
    mcpu: str
    budget_s: float
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortlist:
    """Say which kernels of the prepared model have several tiles, and which those are.

    ``mcpu`` names one of the CPU's kernel sets.

    Artifact: ``shortlist.json`` (``model.tuning.Contest``s), the heaviest kernel first.
    """

    toolchain: Toolchain
    prepared: Prepare
    platform: Platform
    cpu: Cpu
    mcpu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRuntime:
    """The model-independent C of one platform: runtime objects and the runner.

    Artifact: ``runtime/*.o`` for the library, ``runner/*.o`` for ``bin/run``. For bionic also
    ``stubs/*.so`` to link against, and ``helpers.o``, compiler-rt with a section a function.
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

    Artifact: ``verification.json`` (``model.artifact.Verification``). Where the numbers are wrong
    also ``bisect/``: ``bisection.json`` (``model.bisection.Bisection``), ``reproduce/``. Where they
    are right, but differ for the bundle's check data, also what ``Assemble`` makes, with others.
    """

    toolchain: Toolchain
    assembled: Assemble
    where: Literal["native", "qemu"]
    emulator: Emulator | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """Put the libraries of several boards of Android, of one model, into one archive for apps.

    Artifact: as of ``Assemble``; where ``verified`` has one step for each of ``assembled``, also
    ``verification.json``, which tells the worst of them.
    """

    toolchain: Toolchain
    model_name: str
    target: Target
    assembled: tuple[Assemble, ...]
    verified: tuple[Verify, ...]

    @property
    def where(self) -> Literal["native", "qemu", "none"]:
        """Where the libraries were verified."""
        wheres = {verify.where for verify in self.verified}
        return "qemu" if "qemu" in wheres else "native" if wheres else "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisect:
    """Find the ONNX node where a dump, made on a board, leaves ONNX Runtime's numbers.

    Artifact: ``bisection.json`` (``model.bisection.Bisection``), and ``reproduce/`` where a node is
    to blame: that node as a model with its inputs.
    """

    toolchain: Toolchain
    prepared: Prepare
    dump: Source  # dump.json and the .npy files that it lists


Step = (
    Prepare
    | Inspect
    | Compile
    | Tune
    | Shortlist
    | BuildRuntime
    | Assemble
    | Verify
    | Package
    | Bisect
)


def needs(step: Step) -> dict[str, Step]:
    """Return the steps whose artifacts ``step`` reads, by the name its job knows them under."""
    match step:
        case Prepare() | BuildRuntime():
            return {}
        case Inspect() | Compile() | Tune() | Shortlist() | Bisect():
            return {"prepared": step.prepared}
        case Assemble():
            return {
                "prepared": step.compiled.prepared,
                "compiled": step.compiled,
                "runtime": step.runtime,
            }
        case Verify():
            return {"assembled": step.assembled, "prepared": step.assembled.compiled.prepared}
        case Package():
            return {
                "prepared": step.assembled[0].compiled.prepared,
                **{each.target.name: each for each in step.assembled},
                **{f"{each.target.name}-runtime": each.runtime for each in step.assembled},
                **{f"{each.assembled.target.name}-verified": each for each in step.verified},
            }
    assert_never(step)
