"""BuildRuntime: the model-independent C of a platform."""

from __future__ import annotations

import json
from pathlib import Path

from builder.payload.tools import Zig
from builder.steps import BuildRuntime
from builder.toolchain import zig as toolchain


def build_runtime(step: BuildRuntime, *, templates: Path, output: Path, zig: Zig) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.BuildRuntime`` describes."""
    sources = templates / "runtime"
    listed = json.loads((sources / "sources.json").read_text(encoding="utf-8"))
    how = toolchain.loader(step.platform)
    parts = {"runtime": listed["library"], "runner": [*listed["runner"], listed["loader"][how]]}
    commands = []
    for part, names in parts.items():
        (output / part).mkdir()
        commands += [
            toolchain.compile_c(
                step.platform,
                sources / name,
                output / part / Path(name).with_suffix(".o"),
                include=sources,
            )
            for name in names
        ]
    zig.run_all(commands)
    if how == "shared":
        objects = sorted((output / "runner").glob("*.o"))
        zig.run(toolchain.link_runner(step.platform, objects, output / "runner" / "run"))
