"""BuildRuntime: the model-independent C of a platform."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from builder.model.target import Platform
from builder.payload.bionic import BionicLinker
from builder.payload.tools import Zig
from builder.steps import BuildRuntime
from builder.toolchain import zig as toolchain
from builder.toolchain.zig import Argv, Part


def build_runtime(step: BuildRuntime, *, templates: Path, output: Path, zig: Zig) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.BuildRuntime`` describes."""
    sources = templates / "runtime"
    listed = json.loads((sources / "sources.json").read_text(encoding="utf-8"))
    platform = step.platform
    how = toolchain.loader(platform)
    runner = [*listed["runner"], listed["loader"][how]]
    if platform.libc.family == "bionic":
        runner += listed["library"]  # a second time: the runner is of another C library
    commands = [
        *_compile(platform, sources, listed["library"], output / "runtime", "library"),
        *_compile(platform, sources, runner, output / "runner", "runner"),
    ]
    zig.run_all(commands)
    if how == "shared":
        objects = sorted((output / "runner").glob("*.o"))
        zig.run(toolchain.link_runner(platform, objects, output / "runner" / "run"))
    if platform.libc.family == "bionic":
        BionicLinker(
            platform=platform,
            toolchain=step.toolchain,
            templates=templates,
            runtime=output,
            zig=zig,
        ).prepare()


def _compile(
    platform: Platform, sources: Path, names: Iterable[str], folder: Path, part: Part
) -> list[Argv]:
    folder.mkdir()
    return [
        toolchain.compile_c(
            platform,
            sources / name,
            folder / Path(name).with_suffix(".o"),
            include=sources,
            part=part,
        )
        for name in names
    ]
