"""What a board is, as far as building for it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Arch = Literal["x86_64", "aarch64", "armv7"]
ANDROID_ABIS: dict[Arch, str] = {
    "aarch64": "arm64-v8a",
    "armv7": "armeabi-v7a",
    "x86_64": "x86_64",
}
"""Android's names of the architectures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Libc:
    """The C library on the board: the oldest glibc (``2.27``) or Android API level to support."""

    family: Literal["glibc", "musl", "bionic"]
    floor: str | None
    api: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What decides how C is compiled and linked, for all boards of one architecture and libc."""

    arch: Arch
    libc: Libc


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuVariant:
    """A better CPU that a bundle also carries kernels for, over the same weights."""

    mcpu: str
    mattr: tuple[str, ...]
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """What decides which machine code LLVM writes for the kernels.

    ``mcpu`` and ``mattr`` are LLVM's names. ``cores`` is the number of cores work may be split
    over. ``features`` are the CPU features the generated code needs, spelled as ``/proc/cpuinfo``
    does; the runtime refuses to start where one is missing instead of dying of SIGILL.
    ``variants`` are better CPUs, the best last; the runtime takes the best it finds itself on.
    """

    mcpu: str
    mattr: tuple[str, ...]
    cores: int
    features: tuple[str, ...]
    variants: tuple[CpuVariant, ...] = ()

    @property
    def sets(self) -> tuple[Cpu | CpuVariant, ...]:
        """The CPUs that kernels are written for, the least first."""
        return (self, *self.variants)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainSpec:
    """The image to build in: its base by digest or local name, and Debian packages to add.

    ``ndk`` says whether an Android NDK that is at hand links what runs against bionic.
    """

    image: str
    packages: tuple[str, ...]
    ndk: Literal["auto", "never"] = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulator:
    """The qemu-user program that stands in for the board, and the CPU it is told to be."""

    qemu: str  # qemu-aarch64; the -static spelling is tried as well
    cpu: str
    sysroot: str  # where Debian keeps that architecture's C library


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTraits:
    """How the board shows itself: ``uname -m`` spellings, and where bundles live on it."""

    machines: tuple[str, ...]
    run_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchDefaults:
    """How the board is benchmarked unless told otherwise."""

    threads: tuple[int, ...]
    warmup: int
    min_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One board of the matrix: the whole of a ``targets/*.yaml`` file after ``extends``.

    With ``packs`` it is several boards of Android in one archive for apps (AAR), and what it says
    of a platform and a CPU is that of the one board among them that it extends.
    """

    name: str
    description: str
    platform: Platform
    cpu: Cpu
    weights: Literal["file", "embedded"]
    toolchain: ToolchainSpec
    emulator: Emulator | None  # None where the build machine runs the code itself
    device: DeviceTraits
    bench: BenchDefaults
    packs: tuple[Target, ...] = ()
