"""What an ELF file may be on a platform, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from builder.model.target import Arch, Platform

Kind = Literal["shared library", "executable", "object"]

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
        "bw_set_profiling",
        "bw_target_name",
        "bw_thread_count",
        "bw_weights_bytes",
    }
)
"""Everything ``model.h`` marks BW_API: what a model library exports, no more and no less."""

SONAME = "libmodel.so"


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfPolicy:
    """The rules for one kind of file on one platform.

    ``machine`` is ELF's constant; ``hard_float`` asks for Arm's floats in registers;
    ``glibc_floor`` is (2, 17), or None where no symbol may be versioned (musl); ``exports`` None
    allows any.
    """

    kind: Kind
    machine: str
    bits: int
    hard_float: bool
    needed: frozenset[str]
    interpreter: str | None
    glibc_floor: tuple[int, ...] | None
    exports: frozenset[str] | None
    soname: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    name: str
    bits: int
    hard_float: bool
    loader: str  # glibc's; its file name is also what libraries may need


_MACHINES: dict[Arch, _Machine] = {
    "x86_64": _Machine(
        name="EM_X86_64", bits=64, hard_float=False, loader="/lib64/ld-linux-x86-64.so.2"
    ),
    "aarch64": _Machine(
        name="EM_AARCH64", bits=64, hard_float=False, loader="/lib/ld-linux-aarch64.so.1"
    ),
    "armv7": _Machine(name="EM_ARM", bits=32, hard_float=True, loader="/lib/ld-linux-armhf.so.3"),
}
_GLIBC_LIBRARIES = frozenset({"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"})
_MUSL_LIBRARIES = frozenset({"libc.so"})


def policy_for(platform: Platform, kind: Kind) -> ElfPolicy:
    """Return the policy for files of ``kind`` on ``platform``. Executables of musl are static."""
    machine, is_glibc = _MACHINES[platform.arch], platform.libc.family == "glibc"
    is_library = kind == "shared library"
    return ElfPolicy(
        kind=kind,
        machine=machine.name,
        bits=machine.bits,
        hard_float=machine.hard_float,
        needed=_needed(machine, is_glibc, is_library),
        interpreter=machine.loader if is_glibc and kind == "executable" else None,
        glibc_floor=_version(platform.libc.floor) if platform.libc.floor else None,
        exports=API_SYMBOLS if is_library else None,
        soname=SONAME if is_library else None,
    )


def _needed(machine: _Machine, is_glibc: bool, is_library: bool) -> frozenset[str]:
    if is_glibc:
        return _GLIBC_LIBRARIES | {machine.loader.rpartition("/")[2]}
    return _MUSL_LIBRARIES if is_library else frozenset()


def _version(floor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in floor.split("."))
