"""Each rule for Android on a plain value: a library that passes, bent in one way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.bundle.audit import judge
from builder.bundle.elf import Elf, Import, Segment, VersionNeed
from builder.bundle.elf_policy import API_SYMBOLS, policy_for
from builder.model.target import Arch, Libc, Platform
from builder.toolchain.bionic import BionicSymbol

BIONIC = Libc(family="bionic", floor=None, api=24)
ARM64 = Platform(arch="aarch64", libc=BIONIC)
ARMV7 = Platform(arch="armv7", libc=BIONIC)
SYMBOLS = (
    BionicSymbol(name="free", library="libc.so", api=1),
    BionicSymbol(name="getrandom", library="libc.so", api=28),
)
CODE = Segment(
    type="PT_LOAD",
    writable=False,
    executable=True,
    start=0,
    end=0x3000,
    offset=0,
    align=0x4000,
)
RELOCATED = replace(CODE, writable=True, executable=False, start=0x7000, end=0x9000, offset=0x3000)
RELRO = replace(RELOCATED, type="PT_GNU_RELRO", writable=False, align=1)
VARIABLES = replace(RELOCATED, start=0xC000, end=0xC100, offset=0x4000)
STACK = replace(CODE, type="PT_GNU_STACK", executable=False, end=0, align=0)
FREE = Import(symbol="free", version=None, library=None, weak=False)
LIBRARY = Elf(
    size_bytes=0x4100,
    machine="EM_AARCH64",
    bits=64,
    little_endian=True,
    type="ET_DYN",
    flags=0,
    vfp_args=None,
    interpreter=None,
    segments=(CODE, RELOCATED, VARIABLES, RELRO, STACK),
    needed=("libc.so", "libm.so", "libdl.so", "liblog.so"),
    soname="libmodel.so",
    search_paths=(),
    declares_text_relocations=False,
    text_relocations=(),
    packed_relocations=False,
    gnu_hash=True,
    position_independent_executable=False,
    binds_at_load=True,
    stays_loaded=True,
    imports=(FREE,),
    version_needs=(),
    exports=tuple(sorted(API_SYMBOLS)),
)
WITH_TLS = replace(LIBRARY, segments=(*LIBRARY.segments, replace(CODE, type="PT_TLS")))
ARM_LIBRARY = replace(LIBRARY, machine="EM_ARM", bits=32, flags=0x5000200)
RUNNER = replace(
    LIBRARY,
    position_independent_executable=True,
    needed=(),
    imports=(),
    soname=None,
    gnu_hash=False,
)


def segments(*changed: tuple[Segment, Segment]) -> Elf:
    swapped = dict(changed)
    return replace(LIBRARY, segments=tuple(swapped.get(s, s) for s in LIBRARY.segments))


def rules(elf: Elf, platform: Platform = ARM64) -> list[tuple[str, str | None]]:
    policy = policy_for(platform, "shared library", SYMBOLS)
    return [(violation.rule, violation.symbol) for violation in judge(elf, policy)]


def test_a_library_for_each_kind_of_abi_passes() -> None:
    assert rules(LIBRARY) == []
    assert rules(ARM_LIBRARY, ARMV7) == []


@pytest.mark.parametrize(
    ("rule", "elf"),
    [
        (("machine", None), replace(LIBRARY, machine="EM_X86_64")),
        (("soname", None), replace(LIBRARY, soname=None)),
        (("needed", None), replace(LIBRARY, needed=("libc.so", "libc++_shared.so"))),
        (("tls", None), WITH_TLS),
        (("text-relocation", None), replace(LIBRARY, declares_text_relocations=True)),
        (("writable-code", None), segments((CODE, replace(CODE, writable=True)))),
        (("page-alignment", None), segments((CODE, replace(CODE, align=0x1000)))),
        (("page-alignment", None), segments((VARIABLES, replace(VARIABLES, offset=0x4080)))),
        (("relro", None), segments((RELRO, replace(RELRO, end=0x9001)))),
        (("relro", None), segments((RELOCATED, replace(RELOCATED, end=0x7800)))),
        (("relro", None), segments((VARIABLES, replace(VARIABLES, start=0xA000, offset=0x2000)))),
        (("gnu-hash", None), replace(LIBRARY, gnu_hash=False)),
        (("packed-relocations", None), replace(LIBRARY, packed_relocations=True)),
        (
            ("api-level", None),
            replace(LIBRARY, version_needs=(VersionNeed(version="LIBC_O", library="libc.so"),)),
        ),
        (
            ("symbol-version", None),
            replace(
                LIBRARY, version_needs=(VersionNeed(version="LIBC_PRIVATE", library="libc.so"),)
            ),
        ),
        (
            ("api-level", "getrandom"),
            replace(LIBRARY, imports=(replace(FREE, symbol="getrandom"),)),
        ),
        (
            ("unresolved", "__aarch64_ldadd4_acq_rel"),
            replace(
                LIBRARY,
                imports=(*LIBRARY.imports, replace(FREE, symbol="__aarch64_ldadd4_acq_rel")),
            ),
        ),
        (
            ("unresolved", "mystery"),
            replace(LIBRARY, imports=(replace(FREE, symbol="mystery", weak=True),)),
        ),
        (("export", "main"), replace(LIBRARY, exports=(*LIBRARY.exports, "main"))),
    ],
)  # fmt: skip
def test_one_fault_is_one_violation(rule: tuple[str, str | None], elf: Elf) -> None:
    assert rules(elf) == [rule]


@pytest.mark.parametrize(
    "elf", [replace(ARM_LIBRARY, flags=0x5000400), replace(ARM_LIBRARY, vfp_args=1)]
)
def test_floats_in_registers_of_their_own_are_refused(elf: Elf) -> None:
    assert rules(elf, ARMV7) == [("float-abi", None)]


def test_versions_that_the_libraries_of_an_ndk_have_are_those_of_their_level() -> None:
    needs = (
        VersionNeed(version="LIBC", library="libc.so"),
        VersionNeed(version="LIBC_N", library="libc.so"),
        VersionNeed(version="LIBLOG", library="liblog.so"),
    )
    assert rules(replace(LIBRARY, version_needs=needs)) == []


@pytest.mark.parametrize("level", [28, 29])
def test_what_newer_levels_have_may_be_used_there(level: int) -> None:
    newer = Platform(arch="aarch64", libc=replace(BIONIC, api=level))
    assert rules(replace(LIBRARY, packed_relocations=True), newer) == []
    assert rules(replace(LIBRARY, imports=(replace(FREE, symbol="getrandom"),)), newer) == []
    assert bool(rules(WITH_TLS, newer)) == (level < 29)


@pytest.mark.parametrize("arch", ["aarch64", "armv7", "x86_64"])
def test_the_runner_is_static_and_fits_large_pages(arch: Arch) -> None:
    policy = policy_for(Platform(arch=arch, libc=BIONIC), "executable")
    machines = {"aarch64": "EM_AARCH64", "armv7": "EM_ARM", "x86_64": "EM_X86_64"}
    runner = replace(RUNNER, machine=machines[arch], bits=32 if arch == "armv7" else 64)
    assert judge(runner, policy) == ()
    small = replace(runner, segments=(replace(CODE, align=0x1000), *runner.segments[1:]))
    dynamic = replace(
        small,
        interpreter="/system/bin/linker64",
        needed=("libc.so",),
    )
    found = [violation.rule for violation in judge(dynamic, policy)]
    assert found == ["needed", "interpreter", "page-alignment"]
