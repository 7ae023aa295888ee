"""Assemble: link the libraries and the runner, audit them, lay out the bundle, archive it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from builder.bundle import archive, audit, layout
from builder.bundle.elf_policy import policy_for
from builder.compiler.signature import read_signature
from builder.model.artifact import Assembly, Sizes
from builder.model.target import Platform
from builder.payload.bionic import read_symbols
from builder.payload.licenses import license_texts
from builder.payload.link import Linked, Place, link
from builder.payload.tools import Zig
from builder.ports import Log
from builder.steps import Assemble
from builder.toolchain.bionic import BionicSymbol

RECORDED_TOOLS = ("apache-tvm", "apache-tvm-ffi", "onnx", "onnxsim", "onnxruntime", "ziglang")
"""The packages whose versions a bundle's manifest records."""


def recorded_versions() -> tuple[tuple[str, str], ...]:
    """Return the tools that shape a bundle, each with its version."""
    return tuple((name, metadata.version(name)) for name in RECORDED_TOOLS)


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
    linked = link(step, Place(inputs=inputs, templates=templates, scratch=scratch), zig)
    facts = _audit(step.target.platform, linked, read_symbols(templates))
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
        versions=recorded_versions(),
        licenses=license_texts(step.target.platform, templates, zig),
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


def _audit(
    platform: Platform, linked: Linked, symbols: Sequence[BionicSymbol]
) -> tuple[dict[str, object], ...]:
    """Audit the library and the runner; return the facts of each. Raises ``BuildFailed``."""
    policy = policy_for(platform, "shared library", symbols)
    library = audit.audit(linked.shared, policy, linked.objects)
    runner = audit.audit(linked.runner, policy_for(platform, "executable"), linked.objects)
    return dataclasses.asdict(library), dataclasses.asdict(runner)
