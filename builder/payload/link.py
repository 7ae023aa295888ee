"""From objects to a model's three ELF products: a shared and a static library, and the runner."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.payload.bionic import BionicLinker
from builder.payload.tools import Zig
from builder.steps import Assemble
from builder.toolchain import zig as toolchain

_EXPORTS = "bw_*"
_EMBEDDED_WEIGHTS = """\
.section .rodata
.balign 64
.globl bw_embedded_weights
.hidden bw_embedded_weights
bw_embedded_weights:
.incbin "weights.bin"
.section .note.GNU-stack,"",%progbits
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The three ELF products of a model on a target, and the objects they were made from."""

    objects: tuple[Path, ...]
    shared: Path
    static: Path
    runner: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a link finds things: artifacts by name, the templates, a folder to fill."""

    inputs: Mapping[str, Path]
    templates: Path
    scratch: Path


def link(step: Assemble, place: Place, zig: Zig) -> Linked:
    """Compile what is the model's own and link all three; raises ``BuildFailed``."""
    platform, runtime = step.target.platform, place.inputs["runtime"]
    own = _model_objects(step, place, zig)
    linked = Linked(
        objects=(*sorted((runtime / "runtime").glob("*.o")), *own),
        shared=place.scratch / "libmodel.so",
        static=place.scratch / "libmodel.a",
        runner=place.scratch / "run",
    )
    if platform.libc.family == "bionic":
        _link_for_bionic(step, linked, own, place, zig)
    else:
        _link_for_linux(step, linked, place, zig)
    return linked


def _link_for_linux(step: Assemble, linked: Linked, place: Place, zig: Zig) -> None:
    platform, objects = step.target.platform, linked.objects
    exports = place.scratch / "exports.map"
    exports.write_text(f"{{ global: {_EXPORTS}; local: *; }};\n", encoding="ascii")
    commands = [
        toolchain.link_shared(platform, objects, exports, linked.shared),
        toolchain.archive(objects, linked.static),
    ]
    runner = place.inputs["runtime"] / "runner"
    if toolchain.loader(platform) == "static":
        runner_objects = [*sorted(runner.glob("*.o")), *objects]
        commands.append(toolchain.link_runner(platform, runner_objects, linked.runner))
    else:
        shutil.copyfile(runner / "run", linked.runner)
    zig.run_all(commands)


def _link_for_bionic(
    step: Assemble, linked: Linked, own: Sequence[Path], place: Place, zig: Zig
) -> None:
    platform, runtime = step.target.platform, place.inputs["runtime"]
    linker = BionicLinker(
        platform=platform,
        toolchain=step.toolchain,
        templates=place.templates,
        runtime=runtime,
        zig=zig,
    )
    helpers = place.scratch / "helpers.o"
    linker.pick_helpers(linked.objects, helpers)
    linker.link([*linked.objects, helpers], _EXPORTS, linked.shared)
    # The runner brings the runtime of its own C library along, and zig its own compiler-rt.
    runner_objects = [*sorted((runtime / "runner").glob("*.o")), *own]
    zig.run_all(
        [
            toolchain.archive([*linked.objects, helpers], linked.static),
            toolchain.link_runner(platform, runner_objects, linked.runner),
        ]
    )


def _model_objects(step: Assemble, place: Place, zig: Zig) -> Sequence[Path]:
    compiled, platform = place.inputs["compiled"], step.target.platform
    include, scratch = place.templates / "runtime", place.scratch
    defines = [f'BW_MODEL_NAME="{step.model_name}"', f'BW_TARGET_NAME="{step.target.name}"']
    objects = sorted((compiled / "kernels").iterdir())
    if step.target.weights == "embedded":
        defines.append("BW_EMBED_WEIGHTS")
        (scratch / "weights.bin").symlink_to(compiled / "weights.bin")
        source = scratch / "weights.S"
        source.write_text(_EMBEDDED_WEIGHTS, encoding="ascii")
        embedded = scratch / "weights.o"
        zig.run(toolchain.compile_c(platform, source, embedded, include=include), cwd=scratch)
        objects.append(embedded)
    plan = scratch / "plan.o"
    zig.run(
        toolchain.compile_c(platform, compiled / "plan.c", plan, include=include, defines=defines)
    )
    return [*objects, plan]
