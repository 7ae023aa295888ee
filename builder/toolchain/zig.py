"""The C toolchain as pure argv: one pinned zig wheel is clang, lld and every C library's stubs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from builder.model.target import Platform

Argv = tuple[str, ...]

_NAMES = {
    ("x86_64", "glibc"): "x86_64-linux-gnu",
    ("x86_64", "musl"): "x86_64-linux-musl",
    ("aarch64", "glibc"): "aarch64-linux-gnu",
    ("aarch64", "musl"): "aarch64-linux-musl",
    ("armv7", "glibc"): "arm-linux-gnueabihf",
    ("armv7", "musl"): "arm-linux-musleabihf",
}

_LINK_OPTIONS = (
    "-Wl,--gc-sections",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-z,noexecstack",
    "-Wl,--build-id=none",
)


def zig_target(platform: Platform) -> str:
    """Return zig's name for a platform, with its glibc floor: ``aarch64-linux-gnu.2.27``."""
    name = _NAMES[platform.arch, platform.libc.family]
    return f"{name}.{platform.libc.floor}" if platform.libc.floor else name


def loader(platform: Platform) -> Literal["shared", "static"]:
    """Tell how the runner finds the model: linked in on musl, loaded elsewhere."""
    return "static" if platform.libc.family == "musl" else "shared"


def compile_c(
    platform: Platform, source: Path, out: Path, *, include: Path, defines: Sequence[str] = ()
) -> Argv:
    """Return the command that compiles one C or assembly file to a position-independent object."""
    return (
        *("cc", "-target", zig_target(platform)),
        *("-std=c11", "-O2", "-g0", "-fPIC", "-fvisibility=hidden", "-fno-sanitize=undefined"),
        *("-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Werror"),
        # C alone unwinds nothing, and Arm's tables would want symbols that only C++ provides.
        *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),
        # The folder a build happens in must not reach the object.
        f"-ffile-prefix-map={source.parent}=.",
        *("-I", str(include)),
        *(f"-D{define}" for define in defines),
        *("-c", str(source)),
        *("-o", str(out)),
    )


def link_shared(platform: Platform, objects: Sequence[Path], exports: Path, out: Path) -> Argv:
    """Return the command that links ``libmodel.so``, exporting only what ``exports`` lists."""
    return (
        *("cc", "-target", zig_target(platform)),
        *("-shared", "-s", "-o", str(out)),
        *(f"-Wl,-soname,{out.name}", f"-Wl,--version-script={exports}"),
        *_LINK_OPTIONS,
        *map(str, objects),
        *("-lm", "-lpthread"),
    )


def link_runner(platform: Platform, objects: Sequence[Path], out: Path) -> Argv:
    """Return the command that links ``bin/run``: dynamic for glibc, static for musl."""
    shared = loader(platform) == "shared"
    return (
        *("cc", "-target", zig_target(platform)),
        *(() if shared else ("-static",)),
        *("-s", "-o", str(out)),
        *_LINK_OPTIONS,
        *map(str, objects),
        *("-lm", "-lpthread"),
        *(("-ldl",) if shared else ()),
    )


def archive(objects: Sequence[Path], out: Path) -> Argv:
    """Return the command that makes a static library with no dates and owners in it."""
    return ("ar", "rcsD", str(out), *map(str, objects))
