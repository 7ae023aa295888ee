"""Linking against bionic with an Android NDK of the user's, as pure argv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.model.target import Arch, Platform
from builder.model.toolchain import Ndk
from builder.toolchain.zig import ANDROID_PAGE_BYTES, Argv

_TRIPLES: dict[Arch, str] = {
    "x86_64": "x86_64-linux-android",
    "aarch64": "aarch64-linux-android",
    "armv7": "armv7a-linux-androideabi",
}


def clang(ndk: Ndk) -> Path:
    """Return where the NDK's clang lies. There is one for x86-64 hosts only on Linux."""
    return ndk.root / "toolchains/llvm/prebuilt/linux-x86_64/bin/clang"


def link_shared(
    ndk: Ndk, platform: Platform, objects: Sequence[Path], exports: Path, out: Path
) -> Argv:
    """Return the command that links a library, exporting only what ``exports`` lists.

    Without clang's start files: what they do is for C++, and they import ``__cxa_finalize`` and
    its kin for it.
    """
    return (
        *(str(clang(ndk)), f"--target={_TRIPLES[platform.arch]}{platform.libc.api}"),
        *("-shared", "-nostartfiles", "-s", "-o", str(out)),
        *(f"-Wl,-soname,{out.name}", f"-Wl,--version-script={exports}"),
        *("-Wl,--hash-style=gnu", "-Wl,--build-id=sha1"),
        *("-Wl,--gc-sections", "-Wl,--as-needed", "-Wl,--no-undefined"),
        *("-Wl,-z,now", "-Wl,-z,relro", "-Wl,-z,noexecstack", "-Wl,-z,nodelete"),
        f"-Wl,-z,max-page-size={ANDROID_PAGE_BYTES}",
        *map(str, objects),
        "-lm",
    )
