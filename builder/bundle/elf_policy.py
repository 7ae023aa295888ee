"""What an ELF file may be on a platform, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from builder.model.target import Arch, Platform
from builder.toolchain.bionic import BionicSymbol
from builder.toolchain.zig import ANDROID_PAGE_BYTES

Kind = Literal["shared library", "executable", "object"]
FloatAbi = Literal["hard", "soft"]
"""Whether 32-bit Arm passes floats in registers of their own."""

API_SYMBOLS = frozenset(
    {
        "bw_abi_version",
        "bw_arena_bytes",
        "bw_cpu_name",
        "bw_create",
        "bw_destroy",
        "bw_input_count",
        "bw_input_info",
        "bw_kernel_count",
        "bw_kernel_get",
        "bw_last_error",
        "bw_model_name",
        "bw_output_count",
        "bw_output_info",
        "bw_run",
        "bw_set_observer",
        "bw_set_profiling",
        "bw_target_name",
        "bw_thread_count",
        "bw_weights_bytes",
    }
)
"""Everything ``model.h`` marks BW_API: what a model library exports, no more and no less."""

SONAME = "libmodel.so"


@dataclass(frozen=True, slots=True, kw_only=True)
class BionicPolicy:
    """What a library may import on Android: ``symbols`` is the API level of each name."""

    api: int
    symbols: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfPolicy:
    """The rules for one kind of file on one platform.

    ``machine`` is ELF's constant; ``float_abi`` is None where there is no choice; ``glibc_floor``
    is (2, 17), or None where no symbol may be versioned; ``exports`` None allows any;
    ``page_bytes`` is the largest page of the devices, None where it need not be minded; ``bionic``
    is for what Android's own loader loads.
    """

    kind: Kind
    machine: str
    bits: int
    float_abi: FloatAbi | None
    needed: frozenset[str]
    interpreter: str | None
    glibc_floor: tuple[int, ...] | None
    exports: frozenset[str] | None
    soname: str | None
    page_bytes: int | None
    bionic: BionicPolicy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    name: str
    bits: int
    loader: str  # glibc's; its file name is also what libraries may need


_MACHINES: dict[Arch, _Machine] = {
    "x86_64": _Machine(name="EM_X86_64", bits=64, loader="/lib64/ld-linux-x86-64.so.2"),
    "aarch64": _Machine(name="EM_AARCH64", bits=64, loader="/lib/ld-linux-aarch64.so.1"),
    "armv7": _Machine(name="EM_ARM", bits=32, loader="/lib/ld-linux-armhf.so.3"),
}
_GLIBC_LIBRARIES = frozenset({"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"})
_MUSL_LIBRARIES = frozenset({"libc.so"})
_BIONIC_LIBRARIES = frozenset({"libc.so", "libm.so", "libdl.so", "liblog.so"})


def policy_for(platform: Platform, kind: Kind, symbols: Sequence[BionicSymbol] = ()) -> ElfPolicy:
    """Return the policy for files of ``kind`` on ``platform``. Executables not of glibc are static.

    ``symbols`` are what libraries for bionic may import.
    """
    machine, libc = _MACHINES[platform.arch], platform.libc
    is_library, is_android = kind == "shared library", libc.family == "bionic"
    return ElfPolicy(
        kind=kind,
        machine=machine.name,
        bits=machine.bits,
        float_abi=_float_abi(platform),
        needed=_needed(platform, kind),
        interpreter=machine.loader if libc.family == "glibc" and kind == "executable" else None,
        glibc_floor=_version(libc.floor) if libc.floor else None,
        exports=API_SYMBOLS if is_library else None,
        soname=SONAME if is_library else None,
        page_bytes=ANDROID_PAGE_BYTES if is_android else None,
        bionic=_bionic(libc.api, symbols) if is_library and libc.api else None,
    )


def _float_abi(platform: Platform) -> FloatAbi | None:
    if platform.arch != "armv7":
        return None
    return "soft" if platform.libc.family == "bionic" else "hard"


def _needed(platform: Platform, kind: Kind) -> frozenset[str]:
    if platform.libc.family == "glibc":
        return _GLIBC_LIBRARIES | {_MACHINES[platform.arch].loader.rpartition("/")[2]}
    if kind != "shared library":
        return frozenset()
    return _MUSL_LIBRARIES if platform.libc.family == "musl" else _BIONIC_LIBRARIES


def _bionic(api: int, symbols: Sequence[BionicSymbol]) -> BionicPolicy:
    return BionicPolicy(api=api, symbols={symbol.name: symbol.api for symbol in symbols})


def _version(floor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in floor.split("."))
