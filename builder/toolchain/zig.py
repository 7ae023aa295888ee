"""The C toolchain as pure argv: one pinned zig wheel is clang, lld and every C library's stubs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from builder.model.target import Platform

Argv = tuple[str, ...]
Part = Literal["library", "runner"]
"""What of a bundle C is compiled for. On Android the two differ in their C library."""

_NAMES = {
    ("x86_64", "glibc"): "x86_64-linux-gnu",
    ("x86_64", "musl"): "x86_64-linux-musl",
    ("aarch64", "glibc"): "aarch64-linux-gnu",
    ("aarch64", "musl"): "aarch64-linux-musl",
    ("armv7", "glibc"): "arm-linux-gnueabihf",
    ("armv7", "musl"): "arm-linux-musleabihf",
    ("x86_64", "bionic"): "x86_64-linux-android",
    ("aarch64", "bionic"): "aarch64-linux-android",
    ("armv7", "bionic"): "arm-linux-androideabi",
}
# Nothing links a program against bionic without its start files: bin/run is a static one, with the
# very kernels that the library has, so it passes floats as they do.
_ANDROID_RUNNERS = {
    "x86_64": "x86_64-linux-musl",
    "aarch64": "aarch64-linux-musl",
    "armv7": "arm-linux-musleabi",
}
ANDROID_PAGE_BYTES = 16384
"""The largest page of an Android device."""

# Kernels do the work, and LLVM writes those. What C weighs is copied to every board.
_SMALL = "-Os"
_HARDENING = ("-fstack-protector-strong",)
# Return addresses are signed; on cores without pointer authentication that is two no-ops.
_HARDENING_OF_AARCH64 = (*_HARDENING, "-mbranch-protection=pac-ret")
_LINK_OPTIONS = (
    "-Wl,--gc-sections",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-z,noexecstack",
    "-Wl,--build-id=none",
)


def zig_target(platform: Platform, part: Part = "library") -> str:
    """Return zig's name for a platform, with its glibc floor: ``aarch64-linux-gnu.2.27``."""
    if part == "runner" and platform.libc.family == "bionic":
        return _ANDROID_RUNNERS[platform.arch]
    name = _NAMES[platform.arch, platform.libc.family]
    return f"{name}.{platform.libc.floor}" if platform.libc.floor else name


def loader(platform: Platform) -> Literal["shared", "static"]:
    """Tell how the runner finds the model: loaded on glibc, linked in elsewhere."""
    return "shared" if platform.libc.family == "glibc" else "static"


def compile_c(
    platform: Platform,
    source: Path,
    out: Path,
    *,
    include: Path,
    defines: Sequence[str] = (),
    part: Part = "library",
) -> Argv:
    """Return the command that compiles one C or assembly file to a position-independent object."""
    return (
        *("cc", "-target", zig_target(platform, part), *_float_abi(platform)),
        *(
            "-std=c11",
            _SMALL,
            "-g0",
            "-fPIC",
            "-fvisibility=hidden",
            "-fno-sanitize=undefined",
        ),
        *("-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Werror"),
        *(_HARDENING_OF_AARCH64 if platform.arch == "aarch64" else _HARDENING),
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
    """Return the command that links ``libmodel.so``, exporting only what ``exports`` lists.

    Not for bionic: see ``builder.toolchain.bionic``.
    """
    return (
        *("cc", "-target", zig_target(platform)),
        *("-shared", "-s", "-o", str(out)),
        *(f"-Wl,-soname,{out.name}", f"-Wl,--version-script={exports}"),
        "-Wl,-z,nodelete",  # dlclose must not take the code away that workers run
        *_LINK_OPTIONS,
        *map(str, objects),
        *("-lm", "-lpthread"),
    )


def link_runner(platform: Platform, objects: Sequence[Path], out: Path) -> Argv:
    """Return the command that links ``bin/run``: dynamic for glibc, static elsewhere.

    Both are position-independent, so that the kernel loads them at a random address.
    """
    shared = loader(platform) == "shared"
    return (
        *("cc", "-target", zig_target(platform, "runner")),
        # zig takes "-static-pie" for "-static" without a word.
        *(("-pie",) if shared else ("-static", "-pie")),
        *_page_size(platform),
        *("-s", "-o", str(out)),
        *_LINK_OPTIONS,
        *map(str, objects),
        *("-lm", "-lpthread"),
        *(("-ldl",) if shared else ()),
    )


def archive(objects: Sequence[Path], out: Path) -> Argv:
    """Return the command that makes a static library with no dates and owners in it."""
    return ("ar", "rcsD", str(out), *map(str, objects))


def _float_abi(platform: Platform) -> Argv:
    """Have VFP code where Android's calls pass floats in integer registers."""
    is_softfp = (platform.arch, platform.libc.family) == ("armv7", "bionic")
    return ("-mfloat-abi=softfp",) if is_softfp else ()


def _page_size(platform: Platform) -> Argv:
    is_android = platform.libc.family == "bionic"
    return (f"-Wl,-z,max-page-size={ANDROID_PAGE_BYTES}",) if is_android else ()
