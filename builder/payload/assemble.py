"""Assemble: link the libraries and the runner, audit them, lay out the bundle, archive it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from builder.bundle import archive, audit, layout
from builder.bundle.elf_policy import policy_for
from builder.compiler.signature import read_signature
from builder.model.artifact import Assembly, Sizes
from builder.model.target import Platform
from builder.payload.tools import Zig
from builder.ports import Log
from builder.steps import Assemble
from builder.toolchain import zig as toolchain

RECORDED_TOOLS = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxsim", "onnxruntime", "ziglang")
"""The packages whose versions a bundle's manifest records."""

_EXPORTS = "{ global: bw_*; local: *; };\n"
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
class _Linked:
    """The three ELF products of a model on a target, and the objects they were made from."""

    objects: tuple[Path, ...]
    shared: Path
    static: Path
    runner: Path


def assemble(
    step: Assemble,
    *,
    inputs: Mapping[str, Path],
    templates: Path,
    output: Path,
    scratch: Path,
    zig: Zig,
    log: Log,
) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Assemble`` describes."""
    compiled = inputs["compiled"]
    for kernels in sorted((compiled / "kernels").iterdir()):
        # Before the link hides it: lld takes soft-float kernels without a word.
        audit.audit(kernels, policy_for(step.target.platform, "object"))
    linked = _link(step, inputs, templates, scratch, zig)
    facts = _audit(step.target.platform, linked)
    plan = json.loads((compiled / "plan.json").read_text(encoding="utf-8"))
    parts = layout.BundleParts(
        model_name=step.model_name,
        target=step.target,
        signature=read_signature(inputs["prepared"]),
        shared_library=linked.shared,
        static_library=linked.static,
        runner=linked.runner,
        weights=None if step.target.weights == "embedded" else compiled / "weights.bin",
        check=inputs["prepared"] / "check",
        arena_bytes=plan["arena_bytes"],
        weights_bytes=plan["weights_bytes"],
        versions=tuple((name, metadata.version(name)) for name in RECORDED_TOOLS),
    )
    layout.lay_out(parts, templates, output / "bundle")
    packed = output / "bundle.tar.gz"
    top = layout.archive_top(step.model_name, step.target.name)
    digest = archive.pack(output / "bundle", packed, top)
    log(f"archive: {packed.stat().st_size} bytes, sha256 {digest}")
    assembly = Assembly(
        sha256=digest,
        sizes=Sizes(
            library=linked.shared.stat().st_size,
            weights=plan["weights_bytes"],
            archive=packed.stat().st_size,
            runner=linked.runner.stat().st_size,
        ),
        arena_bytes=plan["arena_bytes"],
        audit=facts,
    )
    text = json.dumps(dataclasses.asdict(assembly), indent=1) + "\n"
    (output / "assembly.json").write_text(text, encoding="utf-8")


def _link(
    step: Assemble, inputs: Mapping[str, Path], templates: Path, scratch: Path, zig: Zig
) -> _Linked:
    objects = _model_objects(step, inputs, templates, scratch, zig)
    platform = step.target.platform
    linked = _Linked(
        objects=tuple(objects),
        shared=scratch / "libmodel.so",
        static=scratch / "libmodel.a",
        runner=scratch / "run",
    )
    exports = scratch / "exports.map"
    exports.write_text(_EXPORTS, encoding="ascii")
    commands = [
        toolchain.link_shared(platform, objects, exports, linked.shared),
        toolchain.archive(objects, linked.static),
    ]
    runner = inputs["runtime"] / "runner"
    if toolchain.loader(platform) == "static":
        runner_objects = [*sorted(runner.glob("*.o")), *objects]
        commands.append(toolchain.link_runner(platform, runner_objects, linked.runner))
    else:
        shutil.copyfile(runner / "run", linked.runner)
    zig.run_all(commands)
    return linked


def _model_objects(
    step: Assemble, inputs: Mapping[str, Path], templates: Path, scratch: Path, zig: Zig
) -> Sequence[Path]:
    compiled, platform = inputs["compiled"], step.target.platform
    include = templates / "runtime"
    defines = [f'BW_MODEL_NAME="{step.model_name}"', f'BW_TARGET_NAME="{step.target.name}"']
    runtime = sorted((inputs["runtime"] / "runtime").glob("*.o"))
    objects = [*runtime, *sorted((compiled / "kernels").iterdir())]
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


def _audit(platform: Platform, linked: _Linked) -> tuple[dict[str, object], ...]:
    """Audit the library and the runner; return the facts of each. Raises ``BuildFailed``."""
    library = audit.audit(linked.shared, policy_for(platform, "shared library"), linked.objects)
    runner = audit.audit(linked.runner, policy_for(platform, "executable"), linked.objects)
    return dataclasses.asdict(library), dataclasses.asdict(runner)
