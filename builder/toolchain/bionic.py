"""Linking against bionic without an NDK: stub libraries, compiler-rt and lld, as pure argv.

A library that is linked against a shared one needs of it a soname and the names it defines.
``templates/android/symbols.json`` has those names, each with the API level that introduced it, so
assembly that defines them all is a stub of the C library of any level.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.model.target import Arch, Platform
from builder.toolchain.zig import ANDROID_PAGE_BYTES, Argv, zig_target

SYMBOLS = "android/symbols.json"
"""Below the templates: what Android's libraries define, as far as models need it."""

_EMULATIONS: dict[Arch, str] = {
    "x86_64": "elf_x86_64",
    "aarch64": "aarch64linux",
    "armv7": "armelf_linux_eabi",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BionicSymbol:
    """One function of Android's C library and the API level that it came with."""

    name: str
    library: str  # libc.so
    api: int


def parse_symbols(text: str) -> tuple[BionicSymbol, ...]:
    """Return the symbols that ``symbols.json`` lists: API levels by name by library."""
    return tuple(
        BionicSymbol(name=name, library=library, api=api)
        for library, levels in json.loads(text).items()
        for name, api in levels.items()
    )


def libraries(symbols: Iterable[BionicSymbol]) -> tuple[str, ...]:
    """Return the libraries that ``symbols`` come from, sorted."""
    return tuple(sorted({symbol.library for symbol in symbols}))


def names_in(symbols: Iterable[BionicSymbol], library: str, api: int) -> tuple[str, ...]:
    """Return what ``library`` defines on Android of level ``api``, sorted."""
    return tuple(sorted(s.name for s in symbols if s.library == library and s.api <= api))


def stub_source(names: Iterable[str]) -> str:
    """Return assembly that defines functions of these ``names``, to link against, never to run."""
    lines = [f".globl {name}\n.type {name}, %function\n{name}:\n" for name in names]
    return ".text\n" + "".join(lines) + '.section .note.GNU-stack,"",%progbits\n'


def link_stub(platform: Platform, source: Path, out: Path) -> Argv:
    """Return the command that makes the stub of the library that ``out`` is called like."""
    return (
        *("cc", "-target", zig_target(platform, "runner"), "-nostdlib", "-shared"),
        *(f"-Wl,-soname,{out.name}", "-Wl,--build-id=none"),
        *("-o", str(out), str(source)),
    )


def compile_helpers(platform: Platform, compiler_rt: Path, out: Path) -> Argv:
    """Return the command that compiles zig's compiler-rt to one object, a section a function."""
    return (
        *("build-obj", "-target", zig_target(platform, "runner")),
        *("-OReleaseSmall", "-fstrip", "-fPIC", "-fsingle-threaded"),
        *("-ffunction-sections", "-fdata-sections"),
        f"-femit-bin={out}",
        str(compiler_rt),
    )


def pick_helpers(platform: Platform, names: Sequence[str], helpers: Path, out: Path) -> Argv:
    """Return the command that takes the functions ``names``, and what they call, out of an object.

    The whole object would not do: its memcpy and libm would stand in for bionic's.
    """
    return (
        *("ld.lld", "-m", _EMULATIONS[platform.arch], "-r", "--gc-sections"),
        *(word for name in names for word in ("-u", name)),
        *("-o", str(out), str(helpers)),
    )


def link_shared(
    platform: Platform,
    objects: Sequence[Path],
    stubs: Sequence[Path],
    exports: Path,
    out: Path,
) -> Argv:
    """Return the command that links a library, exporting only what ``exports`` lists.

    Only ``max-page-size`` is set: with ``common-page-size`` as well, lld makes a RELRO segment that
    is longer than the memory it lies in, and bionic refuses to load that.
    """
    return (
        *("ld.lld", "-m", _EMULATIONS[platform.arch], "-shared", "-s"),
        *("-soname", out.name, "--version-script", str(exports)),
        *("--hash-style=gnu", "--eh-frame-hdr", "--build-id=sha1"),
        *("--gc-sections", "--as-needed", "--no-undefined"),
        *("-z", "now", "-z", "relro", "-z", "noexecstack", "-z", "nodelete"),
        *("-z", f"max-page-size={ANDROID_PAGE_BYTES}"),
        *("-o", str(out)),
        *map(str, objects),
        *map(str, stubs),
    )
