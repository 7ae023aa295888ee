"""Model libraries for Android, linked as the payload does, and a stand-in for its loader."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.model.target import Arch, Libc, Platform
from builder.model.toolchain import LocalToolchain
from builder.payload.bionic import BionicLinker
from builder.payload.runtime import build_runtime
from builder.payload.tools import Zig
from builder.steps import BuildRuntime
from builder.toolchain import bionic
from builder.toolchain import zig as toolchain
from tests.e2e.runtime_builds import CHECKSUM, FIXTURE, LOADERS, ROOT, RUNNER, RUNTIME

ARCHS: tuple[Arch, ...] = ("aarch64", "armv7", "x86_64")
TARGETS: dict[Arch, str] = {
    "aarch64": "android-arm64",
    "armv7": "android-armv7",
    "x86_64": "android-x86_64",
}
STAND_IN = Path(__file__).parent / "android_fixture"
LOCAL = LocalToolchain(versions=())
EXPORTS = "{ global: bw_*; local: *; };\n"

# glibc's targets with the float ABI of Android's, and how to run them here.
_GLIBC: dict[Arch, str] = {
    "aarch64": "aarch64-linux-gnu.2.28",
    "armv7": "arm-linux-gnueabi.2.28",
    "x86_64": "x86_64-linux-gnu.2.28",
}
EMULATORS: dict[Arch, tuple[str, str] | None] = {
    "aarch64": ("qemu-aarch64-static", "/usr/aarch64-linux-gnu"),
    "armv7": ("qemu-arm-static", "/usr/arm-linux-gnueabi"),
    "x86_64": None,
}


def platform(arch: Arch) -> Platform:
    return Platform(arch=arch, libc=Libc(family="bionic", floor=None, api=24))


def zig(folder: Path) -> Zig:
    named = os.environ.get("BOARDWRIGHT_TEST_ZIG_CACHE")
    cache = Path(named) if named else Path.home() / ".cache/boardwright-tests/zig"
    cache.mkdir(parents=True, exist_ok=True)
    return Zig(cache=cache, log=lambda _: None)


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What a link for one ABI takes: the runtime's objects, the stubs, compiler-rt."""

    arch: Arch
    folder: Path

    @classmethod
    def make(cls, arch: Arch, folder: Path) -> Kit:
        step = BuildRuntime(toolchain=LOCAL, platform=platform(arch))
        build_runtime(step, templates=ROOT / "templates", output=folder, zig=zig(folder))
        (folder / "exports.map").write_text(EXPORTS)
        return cls(arch=arch, folder=folder)

    @property
    def zig(self) -> Zig:
        return zig(self.folder)

    def compile(self, source: Path, out: Path) -> Path:
        command = toolchain.compile_c(
            platform(self.arch),
            source,
            out,
            include=RUNTIME,
            defines=(CHECKSUM.removeprefix("-D"),),
        )
        self.zig.run((*command, "-I", str(FIXTURE)))
        return out

    def link(self, objects: Sequence[Path], out: Path, *changes: tuple[str, str]) -> Path:
        """Link as the build does, with words of the command changed, or left out for none."""
        helpers = out.with_name("helpers.o")
        self.linker.pick_helpers(objects, helpers)
        stubs = sorted((self.folder / "stubs").glob("*.so"))
        exports = self.folder / "exports.map"
        command = bionic.link_shared(platform(self.arch), [*objects, helpers], stubs, exports, out)
        swapped = dict(changes)
        self.zig.run(tuple(w for word in command if (w := swapped.get(word, word))))
        return out

    @property
    def linker(self) -> BionicLinker:
        return BionicLinker(
            platform=platform(self.arch),
            toolchain=LOCAL,
            templates=ROOT / "templates",
            runtime=self.folder,
            zig=self.zig,
        )

    def runtime(self) -> list[Path]:
        return sorted((self.folder / "runtime").glob("*.o"))


def make_loader(arch: Arch, folder: Path) -> tuple[str, ...]:
    """Build a glibc program that loads a model library of Android; return how to start it.

    Beside it lie a libc.so and a libm.so that have bionic's names and glibc's functions.
    """
    target, tool = _GLIBC[arch], zig(folder)
    for name, source in (("libc.so", "errno.c"), ("libm.so", "libm.c")):
        made = ("-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(folder / name))
        tool.run(("cc", "-target", target, *made, str(STAND_IN / source), "-lm"))
    sources = map(str, (*RUNNER, LOADERS["shared"]))
    options = ("-O1", "-I", str(RUNTIME), "-o", str(folder / "load"))
    tool.run(("cc", "-target", target, *options, *sources, "-ldl", "-lm", "-lpthread"))
    emulator = EMULATORS[arch]
    paths = f"LD_LIBRARY_PATH={folder}"
    if emulator is None:
        return ("env", paths, str(folder / "load"))
    return (emulator[0], "-L", emulator[1], "-E", paths, str(folder / "load"))
