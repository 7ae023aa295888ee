from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.bundle.elf_policy import policy_for
from builder.model.target import Arch, Libc, Platform
from builder.model.toolchain import Ndk
from builder.package_files import templates_root
from builder.toolchain import bionic, ndk, zig

TEXT = json.dumps({"libm.so": {"exp": 1, "exp10": 99}, "libc.so": {"free": 1}})
SHIPPED = bionic.parse_symbols((templates_root() / bionic.SYMBOLS).read_text(encoding="utf-8"))
OUT = Path("/out/libmodel.so")


def android(arch: Arch = "aarch64", api: int = 24) -> Platform:
    return Platform(arch=arch, libc=Libc(family="bionic", floor=None, api=api))


def test_a_stub_defines_what_its_library_has_at_that_level() -> None:
    symbols = bionic.parse_symbols(TEXT)
    assert bionic.libraries(symbols) == ("libc.so", "libm.so")
    assert bionic.names_in(symbols, "libm.so", 24) == ("exp",)
    assert bionic.names_in(symbols, "libm.so", 99) == ("exp", "exp10")
    assert "exp:" in bionic.stub_source(["exp"])


def test_the_shipped_symbols_come_from_libraries_that_may_be_needed() -> None:
    allowed = policy_for(android(), "shared library").needed
    assert set(bionic.libraries(SHIPPED)) == allowed
    assert len({symbol.name for symbol in SHIPPED}) == len(SHIPPED)


@pytest.mark.parametrize("arch", ["aarch64", "armv7", "x86_64"])
def test_a_library_is_linked_for_large_pages_and_lazy_binding_is_off(arch: Arch) -> None:
    command = bionic.link_shared(android(arch), [Path("a.o")], [Path("libc.so")], Path("e"), OUT)
    words = " ".join(command)
    assert "-z max-page-size=16384" in words and "common-page-size" not in words
    assert "-soname libmodel.so" in words and "-z now" in words and "--no-undefined" in words
    assert command[-2:] == ("a.o", "libc.so")


def test_an_ndk_links_with_its_own_clang_for_the_targets_level() -> None:
    kit = Ndk(revision="26.1", root=Path("/ndk"))
    command = ndk.link_shared(kit, android("armv7", 26), [Path("a.o")], Path("e"), OUT)
    assert command[0] == "/ndk/toolchains/llvm/prebuilt/linux-x86_64/bin/clang"
    assert "--target=armv7a-linux-androideabi26" in command
    assert "-Wl,-z,max-page-size=16384" in command
    assert "-nostartfiles" in command


@pytest.mark.parametrize(
    ("arch", "library", "runner"),
    [
        ("aarch64", "aarch64-linux-android", "aarch64-linux-musl"),
        ("armv7", "arm-linux-androideabi", "arm-linux-musleabi"),
        ("x86_64", "x86_64-linux-android", "x86_64-linux-musl"),
    ],
)
def test_the_runner_is_of_another_c_library_but_one_float_abi(
    arch: Arch, library: str, runner: str
) -> None:
    platform = android(arch)
    assert zig.zig_target(platform) == library
    assert zig.zig_target(platform, "runner") == runner
    compiled = zig.compile_c(platform, Path("a.c"), Path("a.o"), include=Path(), part="runner")
    assert ("-mfloat-abi=softfp" in compiled) == (arch == "armv7")
    assert zig.loader(platform) == "static"
