"""Each rule of the audit on a plain value: a file that passes, bent in one way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.bundle.audit import audit, judge
from builder.bundle.elf import Elf, Import, Segment, VersionNeed
from builder.bundle.elf_policy import API_SYMBOLS, Kind, policy_for
from builder.errors import BuildFailed
from builder.model.target import Arch, Libc, Platform

OLD_GLIBC = Libc(family="glibc", floor="2.17")
MUSL = Libc(family="musl", floor=None)
X86_64 = Platform(arch="x86_64", libc=OLD_GLIBC)
X86_64_MUSL = Platform(arch="x86_64", libc=MUSL)
ARMV7 = Platform(arch="armv7", libc=OLD_GLIBC)


def a_segment(
    kind: str = "PT_LOAD",
    *,
    writable: bool = False,
    executable: bool = False,
    start: int = 0,
    end: int = 0,
) -> Segment:
    return Segment(
        type=kind,
        writable=writable,
        executable=executable,
        start=start,
        end=end,
        offset=start,
        align=4096,
    )


LIBRARY = Elf(
    size_bytes=4096,
    machine="EM_X86_64",
    bits=64,
    little_endian=True,
    type="ET_DYN",
    flags=0,
    vfp_args=None,
    interpreter=None,
    segments=(
        a_segment(executable=True, start=0, end=4096),
        a_segment(writable=True, start=8192, end=9000),
        a_segment("PT_GNU_STACK", writable=True),
        a_segment("PT_GNU_RELRO", start=8192, end=8300),
    ),
    needed=("libm.so.6", "libpthread.so.0", "libc.so.6"),
    soname="libmodel.so",
    search_paths=(),
    declares_text_relocations=False,
    text_relocations=(),
    packed_relocations=False,
    gnu_hash=True,
    position_independent_executable=False,
    binds_at_load=True,
    stays_loaded=True,
    imports=(
        Import(symbol="malloc", version="GLIBC_2.2.5", library="libc.so.6", weak=False),
        Import(symbol="clock_gettime", version="GLIBC_2.17", library="libc.so.6", weak=False),
        Import(symbol="__gmon_start__", version=None, library=None, weak=True),
    ),
    version_needs=(
        VersionNeed(version="GLIBC_2.2.5", library="libc.so.6"),
        VersionNeed(version="GLIBC_2.17", library="libc.so.6"),
    ),
    exports=tuple(sorted(API_SYMBOLS)),
)
RUNNER = replace(
    LIBRARY,
    interpreter="/lib64/ld-linux-x86-64.so.2",
    position_independent_executable=True,
    soname=None,
    exports=(),
)
MUSL_LIBRARY = replace(
    LIBRARY,
    needed=("libc.so",),
    version_needs=(),
    imports=tuple(replace(each, version=None, library=None) for each in LIBRARY.imports),
)
STATIC_RUNNER = replace(RUNNER, interpreter=None, needed=(), imports=(), version_needs=())
ARM_LIBRARY = replace(LIBRARY, machine="EM_ARM", bits=32, flags=0x5000400, vfp_args=1)
ARM_OBJECT = replace(ARM_LIBRARY, type="ET_REL", flags=0x5000000, segments=(), exports=())


def importing(symbol: str, version: str, library: str = "libc.so.6") -> Elf:
    extra = Import(symbol=symbol, version=version, library=library, weak=False)
    need = VersionNeed(version=version, library=library)
    return replace(
        LIBRARY,
        imports=(*LIBRARY.imports, extra),
        version_needs=(*LIBRARY.version_needs, need),
    )


@pytest.mark.parametrize(
    ("elf", "platform", "kind"),
    [
        (LIBRARY, X86_64, "shared library"),
        (RUNNER, X86_64, "executable"),
        (MUSL_LIBRARY, X86_64_MUSL, "shared library"),
        (STATIC_RUNNER, X86_64_MUSL, "executable"),
        (ARM_LIBRARY, ARMV7, "shared library"),
        (replace(ARM_LIBRARY, vfp_args=None), ARMV7, "shared library"),
        (ARM_OBJECT, ARMV7, "object"),
    ],
)
def test_what_the_toolchain_makes_passes(elf: Elf, platform: Platform, kind: Kind) -> None:
    assert judge(elf, policy_for(platform, kind)) == ()


@pytest.mark.parametrize(
    ("rule", "symbol", "library", "elf"),
    [
        ("machine", None, None, replace(LIBRARY, machine="EM_AARCH64")),
        ("machine", None, None, replace(LIBRARY, bits=32)),
        ("machine", None, None, replace(LIBRARY, little_endian=False)),
        ("type", None, None, replace(LIBRARY, type="ET_EXEC")),
        (
            "needed",
            None,
            "libstdc++.so.6",
            replace(LIBRARY, needed=(*LIBRARY.needed, "libstdc++.so.6")),
        ),
        ("interpreter", None, None, replace(LIBRARY, interpreter="/lib64/ld-linux-x86-64.so.2")),
        ("glibc-floor", "memfd_create", "libc.so.6", importing("memfd_create", "GLIBC_2.27")),
        ("glibc-floor", "expf", "libm.so.6", importing("expf", "GLIBC_2.100", "libm.so.6")),
        (
            "symbol-version",
            "_Znwm",
            "libstdc++.so.6",
            importing("_Znwm", "GLIBCXX_3.4", "libstdc++.so.6"),
        ),
        ("symbol-version", "x", "libstdc++.so.6", importing("x", "CXXABI_1.3", "libstdc++.so.6")),
        ("symbol-version", "y", "libgcc_s.so.1", importing("y", "GCC_3.0", "libgcc_s.so.1")),
        ("symbol-version", "z", "libc.so.6", importing("z", "GLIBC_PRIVATE")),
        (
            "symbol-version",
            None,
            "libc.so.6",
            replace(
                LIBRARY,
                version_needs=(VersionNeed(version="GLIBC_ABI_DT_RELR", library="libc.so.6"),),
                imports=(),
            ),
        ),
        (
            "unresolved",
            "__aarch64_ldadd4_acq_rel",
            None,
            replace(
                LIBRARY,
                imports=(
                    Import(
                        symbol="__aarch64_ldadd4_acq_rel", version=None, library=None, weak=False
                    ),
                ),
            ),
        ),
        (
            "export",
            "__tvm_ffi_fused_conv2d",
            None,
            replace(LIBRARY, exports=(*LIBRARY.exports, "__tvm_ffi_fused_conv2d")),
        ),
        (
            "export",
            "bw_model_plan",
            None,
            replace(LIBRARY, exports=(*LIBRARY.exports, "bw_model_plan")),
        ),
        (
            "missing-export",
            "bw_run",
            None,
            replace(LIBRARY, exports=tuple(API_SYMBOLS - {"bw_run"})),
        ),
        ("soname", None, None, replace(LIBRARY, soname=None)),
        (
            "text-relocation",
            "table",
            None,
            replace(LIBRARY, text_relocations=("table",), declares_text_relocations=True),
        ),
        ("text-relocation", None, None, replace(LIBRARY, declares_text_relocations=True)),
        ("search-path", None, None, replace(LIBRARY, search_paths=("/opt/lib",))),
        (
            "executable-stack",
            None,
            None,
            replace(LIBRARY, segments=(*LIBRARY.segments[:2], LIBRARY.segments[3])),
        ),
        (
            "executable-stack",
            None,
            None,
            replace(
                LIBRARY,
                segments=(
                    *LIBRARY.segments[:2],
                    replace(LIBRARY.segments[2], executable=True),
                    LIBRARY.segments[3],
                ),
            ),
        ),
        ("no-relro", None, None, replace(LIBRARY, segments=LIBRARY.segments[:3])),
        ("no-relro", None, None, replace(LIBRARY, binds_at_load=False)),
        ("unloadable", None, None, replace(LIBRARY, stays_loaded=False)),
        (
            "writable-code",
            None,
            None,
            replace(
                LIBRARY,
                segments=(replace(LIBRARY.segments[0], writable=True), *LIBRARY.segments[1:]),
            ),
        ),
    ],
)
def test_one_fault_of_a_library_is_one_violation(
    rule: str, symbol: str | None, library: str | None, elf: Elf
) -> None:
    found = judge(elf, policy_for(X86_64, "shared library"))
    assert [(v.rule, v.symbol, v.library) for v in found if v.rule != "needed" or library] == [
        (rule, symbol, library)
    ]


@pytest.mark.parametrize(
    ("rule", "elf", "platform", "kind"),
    [
        ("interpreter", replace(RUNNER, interpreter="/lib/ld-musl-x86_64.so.1"), X86_64,
         "executable"),
        ("interpreter", replace(RUNNER, interpreter=None), X86_64, "executable"),
        ("type", replace(RUNNER, type="ET_REL"), X86_64, "executable"),
        ("fixed-address", replace(RUNNER, type="ET_EXEC", position_independent_executable=False),
         X86_64, "executable"),
        ("fixed-address", replace(STATIC_RUNNER, position_independent_executable=False),
         X86_64_MUSL, "executable"),
        ("interpreter", replace(STATIC_RUNNER, interpreter="/lib/ld-musl-x86_64.so.1"),
         X86_64_MUSL, "executable"),
        ("needed", replace(STATIC_RUNNER, needed=("libc.so",)), X86_64_MUSL, "executable"),
        ("needed", replace(MUSL_LIBRARY, needed=("libc.so.6",)), X86_64_MUSL, "shared library"),
        ("symbol-version", replace(MUSL_LIBRARY, version_needs=LIBRARY.version_needs[:1]),
         X86_64_MUSL, "shared library"),
        ("unresolved", replace(MUSL_LIBRARY, needed=(), imports=MUSL_LIBRARY.imports[:1]),
         X86_64_MUSL, "shared library"),
        ("float-abi", replace(ARM_LIBRARY, flags=0x5000000), ARMV7, "shared library"),
        ("float-abi", replace(ARM_LIBRARY, flags=0x5000200), ARMV7, "shared library"),
        ("float-abi", replace(ARM_LIBRARY, vfp_args=0), ARMV7, "shared library"),
        ("float-abi", replace(ARM_OBJECT, vfp_args=None), ARMV7, "object"),
        ("float-abi", replace(ARM_OBJECT, flags=0x5000200), ARMV7, "object"),
        ("type", ARM_LIBRARY, ARMV7, "object"),
    ],
)  # fmt: skip
def test_one_fault_elsewhere_is_one_violation(
    rule: str, elf: Elf, platform: Platform, kind: Kind
) -> None:
    assert [v.rule for v in judge(elf, policy_for(platform, kind))] == [rule]


@pytest.mark.parametrize("arch", ["x86_64", "aarch64", "armv7"])
def test_the_loader_itself_may_be_needed_on_glibc_only(arch: Arch) -> None:
    glibc = policy_for(Platform(arch=arch, libc=OLD_GLIBC), "shared library")
    assert any(library.startswith("ld-linux") for library in glibc.needed)
    assert policy_for(Platform(arch=arch, libc=MUSL), "shared library").needed == {"libc.so"}
    assert policy_for(Platform(arch=arch, libc=MUSL), "executable").needed == frozenset()


def test_every_fault_is_told_at_once() -> None:
    worse = replace(LIBRARY, search_paths=("/a", "/b"), soname=None, machine="EM_ARM")
    rules = [v.rule for v in judge(worse, policy_for(X86_64, "shared library"))]
    assert rules == ["machine", "soname", "search-path", "search-path"]


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF" + b"\xff" * 500])
def test_what_is_no_elf_is_a_failed_build(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "libmodel.so").write_bytes(content)
    for path in (tmp_path / "libmodel.so", tmp_path / "nothing.so"):
        with pytest.raises(BuildFailed) as caught:
            audit(path, policy_for(X86_64, "shared library"))
        assert (caught.value.reason, caught.value.where) == ("elf-audit", path.name)
        assert [v["rule"] for v in caught.value.details["violations"]] == ["malformed"]
