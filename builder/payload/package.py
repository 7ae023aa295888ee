"""Package: glue and classes around the libraries of several ABIs, in one AAR."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.bundle import aar, archive, audit, layout
from builder.bundle.elf_policy import API_SYMBOLS, SONAME, ElfPolicy, policy_for
from builder.bundle.manifest import Memory
from builder.compiler.signature import read_signature
from builder.model.artifact import Assembly, OutputError, Sizes, Verification
from builder.model.receipt import verification_from_json
from builder.payload.assemble import recorded_versions
from builder.payload.bionic import BionicLinker, read_symbols
from builder.payload.java import compile_java
from builder.payload.licenses import license_texts
from builder.payload.tools import Zig
from builder.ports import Log
from builder.steps import Assemble, Package
from builder.toolchain import zig as toolchain
from builder.toolchain.bionic import BionicSymbol


def package(
    step: Package,
    *,
    inputs: Mapping[str, Path],
    templates: Path,
    output: Path,
    scratch: Path,
    zig: Zig,
    log: Log,
) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Package`` describes."""
    compile_java(templates, scratch / "classes", log)
    bench = _Bench(inputs=inputs, templates=templates, scratch=scratch, zig=zig)
    abis = tuple(bench.abi(assembled) for assembled in step.assembled)
    facts = tuple(bench.audit(parts) for parts in abis)
    assemblies = [_json(inputs[each.target.name], "assembly.json") for each in step.assembled]
    parts = aar.AarParts(
        model_name=step.model_name,
        target=step.target,
        signature=read_signature(inputs["prepared"]),
        abis=abis,
        classes=scratch / "classes",
        check=_check_data(step, inputs),
        memory=Memory(
            arena_bytes=max(each["arena_bytes"] for each in assemblies),
            weights_bytes=max(each["sizes"]["weights"] for each in assemblies),
        ),
        versions=recorded_versions(),
        licenses=license_texts(step.assembled[0].target.platform, templates, zig),
    )
    aar.lay_out_aar(parts, templates, scratch, output / "bundle")
    packed = output / "bundle.tar.gz"
    top = layout.archive_top(step.model_name, step.target.name)
    digest = archive.pack(output / "bundle", packed, top)
    log(f"archive: {packed.stat().st_size} bytes, sha256 {digest}")
    assembly = Assembly(
        sha256=digest,
        sizes=Sizes(
            library=sum(each.library.stat().st_size for each in abis),
            weights=parts.memory.weights_bytes,
            archive=packed.stat().st_size,
            runner=0,
        ),
        arena_bytes=parts.memory.arena_bytes,
        audit=facts,
    )
    _write(output / "assembly.json", assembly)
    if step.verified:
        found = [
            verification_from_json(
                _json(inputs[f"{each.assembled.target.name}-verified"], "verification.json")
            )
            for each in step.verified
        ]
        _write(output / "verification.json", worst_of(found, step))


def _check_data(step: Package, inputs: Mapping[str, Path]) -> Path:
    """Return the check data that a library was given when it was verified, else the model's own."""
    verified = (inputs[f"{each.assembled.target.name}-verified"] for each in step.verified)
    given = [found / "bundle/check" for found in verified if (found / "bundle/check").is_dir()]
    return given[0] if given else inputs["prepared"] / "check"


def worst_of(found: Sequence[Verification], step: Package) -> Verification:
    """Return one verification that tells the largest error of each output on any board."""
    by_output = zip(*(each.outputs for each in found), strict=True)
    outputs = tuple(_worst_output(outputs) for outputs in by_output)
    return Verification(
        ok=all(each.ok for each in found),
        where=step.where,
        max_abs_error=max((output.max_abs_error for output in outputs), default=0.0),
        outputs=outputs,
        cautions=tuple(dict.fromkeys(caution for each in found for caution in each.cautions)),
        sets=tuple(verdict for each in found for verdict in each.sets),
    )


def _worst_output(outputs: Sequence[OutputError]) -> OutputError:
    return OutputError(
        name=outputs[0].name,
        max_abs_error=max(output.max_abs_error for output in outputs),
        max_rel_error=max(output.max_rel_error for output in outputs),
        ok=all(output.ok for output in outputs),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """Makes the glue of each ABI and judges it."""

    inputs: Mapping[str, Path]
    templates: Path
    scratch: Path
    zig: Zig

    def abi(self, assembled: Assemble) -> aar.AbiParts:
        """Compile and link the glue between Java and one board's library."""
        target = assembled.target
        bundle = self.inputs[target.name] / "bundle"
        weights = bundle / layout.WEIGHTS if target.weights == "file" else None
        folder = self.scratch / target.name
        folder.mkdir()
        glue, library = folder / aar.GLUE, bundle / "lib" / SONAME
        compiled = toolchain.compile_c(
            target.platform,
            self.templates / "android" / "jni.c",
            folder / "jni.o",
            include=self.templates / "runtime",
            defines=(f'BW_WEIGHTS_ASSET="{aar.weights_asset(weights)}"',),
        )
        self.zig.run(compiled)
        linker = BionicLinker(
            platform=target.platform,
            toolchain=assembled.toolchain,
            templates=self.templates,
            runtime=self.inputs[f"{target.name}-runtime"],
            zig=self.zig,
        )
        linker.link([folder / "jni.o", library], "Java_boardwright_Native_*", glue)
        return aar.AbiParts(target=target, library=library, glue=glue, weights=weights)

    def audit(self, parts: aar.AbiParts) -> dict[str, object]:
        """Audit the glue; the library was audited with its bundle. Raises ``BuildFailed``."""
        policy = glue_policy(parts, read_symbols(self.templates))
        return dataclasses.asdict(audit.audit(parts.glue, policy))


def glue_policy(parts: aar.AbiParts, symbols: Sequence[BionicSymbol]) -> ElfPolicy:
    """Return what the glue may be: as a model's library, and it needs that one."""
    own = [BionicSymbol(name=name, library=SONAME, api=0) for name in API_SYMBOLS]
    policy = policy_for(parts.target.platform, "shared library", [*symbols, *own])
    return replace(
        policy,
        needed=policy.needed | {SONAME},
        exports=aar.GLUE_SYMBOLS,
        soname=aar.GLUE,
    )


def _json(artifact: Path, name: str) -> Any:
    return json.loads((artifact / name).read_text(encoding="utf-8"))


def _write(path: Path, content: Assembly | Verification) -> None:
    path.write_text(json.dumps(dataclasses.asdict(content), indent=1) + "\n", encoding="utf-8")
