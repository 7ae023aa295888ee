"""The licence texts of what a build links into a bundle."""

from __future__ import annotations

from pathlib import Path

from builder.model.target import Platform
from builder.payload.tools import Zig
from builder.toolchain.zig import loader

_OWN = "licenses/boardwright.txt"
"""Below the templates: the project's own license, which a container does not have otherwise."""


def license_texts(platform: Platform, templates: Path, zig: Zig) -> dict[str, Path]:
    """Return the file of each text by whose license it is.

    Every ELF file holds parts of this project and of zig's compiler-rt; a static program also holds
    musl.
    """
    texts = {"boardwright": templates / _OWN, "zig": zig.license}
    if loader(platform) == "static":
        texts["musl"] = zig.license_of_musl
    return texts
