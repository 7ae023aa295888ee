"""The audit on real files: what the cross compiler makes, and makes when told to do wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.bundle.audit import ElfFacts, audit
from builder.bundle.elf_policy import API_SYMBOLS, ElfPolicy, policy_for
from builder.errors import BuildFailed
from builder.model.target import Arch, Libc, Platform

X86_64_GNU = "x86_64-linux-gnu.2.17"
INTERFACE = "".join(
    f'__attribute__((visibility("default"))) int {name}(void) {{ return 0; }}\n'
    for name in sorted(API_SYMBOLS)
)
HARDENED = ("-Wl,-z,relro", "-Wl,-z,now")
SHARED = (
    *("-shared", "-fPIC", "-fvisibility=hidden", *HARDENED),
    *("-Wl,-z,nodelete", "-Wl,-soname,libmodel.so"),
)
OBJECT = ("-c", "-fstack-protector-strong")
FILLS_AN_ARRAY = "void fill(char *); int sum(void) { char a[64]; fill(a); return a[9]; }\n"
Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def zig_cache() -> Path:
    named = os.environ.get("BOARDWRIGHT_TEST_ZIG_CACHE")
    return Path(named) if named else Path.home() / ".cache/boardwright-tests/zig"


@pytest.fixture
def compiled(tmp_path: Path, zig_cache: Path) -> Compile:
    """Compile C text: ``compiled(triple, text, *options)``, by default to a model library."""

    def run(triple: str, text: str, *options: str, name: str = "libmodel.so") -> Path:
        source = tmp_path / f"{name}.c"
        source.write_text(text)
        argv = ["-target", triple, "-O1", "-g0", *(options or SHARED), str(source)]
        environment = {
            **os.environ,
            "ZIG_GLOBAL_CACHE_DIR": str(zig_cache),
            "ZIG_LOCAL_CACHE_DIR": str(tmp_path / "zig"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "ziglang", "cc", *argv, "-o", str(tmp_path / name)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return tmp_path / name

    return run


def library_policy(arch: Arch = "x86_64", floor: str | None = "2.17") -> ElfPolicy:
    libc = Libc(family="glibc" if floor else "musl", floor=floor)
    return policy_for(Platform(arch=arch, libc=libc), "shared library")


def rules_broken(path: Path, policy: ElfPolicy, *objects: Path) -> list[tuple[str, str | None]]:
    with pytest.raises(BuildFailed) as caught:
        audit(path, policy, objects)
    assert caught.value.reason == "elf-audit"
    return [(v["rule"], v["symbol"]) for v in caught.value.details["violations"]]


def patched(path: Path, offset: int, content: bytes) -> Path:
    raw = bytearray(path.read_bytes())
    raw[offset : offset + len(content)] = content
    path.write_bytes(raw)
    return path


def flags_offset(path: Path, segment_type: str) -> int:
    """Return where the flags of the first segment of that type lie in a 64-bit ELF file."""
    with path.open("rb") as stream:
        file = ELFFile(stream)
        index = [s["p_type"] for s in file.iter_segments()].index(segment_type)
        return int(file["e_phoff"] + index * file["e_phentsize"] + 4)


def test_a_glibc_library_passes_and_its_facts_are_told(compiled: Compile) -> None:
    text = "int rand(void);\n" + INTERFACE.replace("return 0", "return rand()", 1)
    path = compiled(X86_64_GNU, text)
    assert audit(path, library_policy()) == ElfFacts(
        file="libmodel.so",
        machine="EM_X86_64",
        needed=("libc.so.6",),
        glibc="2.2.5",
        exports=len(API_SYMBOLS),
        size_bytes=path.stat().st_size,
    )


def test_a_musl_library_and_a_static_program_pass(compiled: Compile) -> None:
    text = "int rand(void);\n" + INTERFACE.replace("return 0", "return rand()")
    facts = audit(compiled("x86_64-linux-musl", text), library_policy(floor=None))
    assert (facts.needed, facts.glibc) == (("libc.so",), None)
    program = compiled(
        "x86_64-linux-musl",
        "void _start(void) {}\n",
        "-nostdlib",
        "-static",
        "-pie",
        *HARDENED,
        name="run",
    )
    audit(program, policy_for(Platform(arch="x86_64", libc=Libc(family="musl", floor=None)),
                              "executable"))  # fmt: skip


def test_a_hard_float_library_passes_and_a_soft_object_does_not(compiled: Compile) -> None:
    path = compiled("arm-linux-gnueabihf.2.17", INTERFACE)
    assert audit(path, library_policy("armv7")).machine == "EM_ARM"
    policy = policy_for(Platform(arch="armv7", libc=Libc(family="glibc", floor="2.17")), "object")
    text = "float half(float x) { return x / 2; }\n"
    audit(compiled("arm-linux-gnueabihf", text, "-c", name="hard.o"), policy)
    soft = compiled("arm-linux-gnueabi", text, "-c", name="soft.o")
    assert rules_broken(soft, policy) == [("float-abi", None)]


def test_a_symbol_newer_than_the_floor_is_named_with_the_object_that_wants_it(
    compiled: Compile,
) -> None:
    text = "int memfd_create(const char *, unsigned);\n" + INTERFACE.replace(
        "return 0", 'return memfd_create("x", 0)', 1
    )
    wants = compiled("x86_64-linux-gnu.2.34", text, "-c", name="wants.o")
    other = compiled("x86_64-linux-gnu.2.34", FILLS_AN_ARRAY, *OBJECT, name="other.o")
    path = compiled("x86_64-linux-gnu.2.34", text)
    with pytest.raises(BuildFailed) as caught:
        audit(path, library_policy(), [wants, other])
    [violation] = caught.value.details["violations"]
    assert (violation["rule"], violation["symbol"]) == ("glibc-floor", "memfd_create")
    assert (violation["library"], violation["objects"]) == ("libc.so.6", ("wants.o",))
    assert audit(path, library_policy(floor="2.27")).glibc == "2.27"


def test_c_that_never_checks_its_stack_is_refused(compiled: Compile) -> None:
    path = compiled(X86_64_GNU, INTERFACE)
    checked = compiled(X86_64_GNU, FILLS_AN_ARRAY, *OBJECT, name="checked.o")
    bare = compiled(X86_64_GNU, FILLS_AN_ARRAY, "-c", "-fno-stack-protector", name="bare.o")
    audit(path, library_policy(), [bare, checked])
    assert rules_broken(path, library_policy(), bare) == [("no-stack-protector", None)]


def test_kernels_must_not_leak(compiled: Compile) -> None:
    text = INTERFACE + '__attribute__((visibility("default"))) int __tvm_ffi_conv = 1;\n'
    path = compiled(X86_64_GNU, text)
    assert rules_broken(path, library_policy()) == [("export", "__tvm_ffi_conv")]


def test_a_search_path_is_refused(compiled: Compile) -> None:
    path = compiled(X86_64_GNU, INTERFACE, *SHARED, "-Wl,-rpath,/opt/lib")
    assert rules_broken(path, library_policy()) == [("search-path", None)]


def test_another_library_is_refused(compiled: Compile, tmp_path: Path) -> None:
    compiled(X86_64_GNU, "int other(void) { return 1; }\n", "-shared", name="libother.so")
    text = "int other(void);\n" + INTERFACE.replace("return 0", "return other()", 1)
    path = compiled(X86_64_GNU, text, *SHARED, f"-L{tmp_path}", "-lother")
    assert set(rules_broken(path, library_policy())) == {
        ("needed", None),
        ("unresolved", "other"),
    }


def test_a_missing_soname_is_refused(compiled: Compile) -> None:
    path = compiled(X86_64_GNU, INTERFACE, *SHARED[:-1])
    assert rules_broken(path, library_policy()) == [("soname", None)]


def test_an_executable_stack_is_refused(compiled: Compile) -> None:
    path = compiled(X86_64_GNU, INTERFACE)
    patched(path, flags_offset(path, "PT_GNU_STACK"), b"\x07")
    assert rules_broken(path, library_policy()) == [("executable-stack", None)]


def test_writable_code_is_refused(compiled: Compile) -> None:
    path = compiled(X86_64_GNU, INTERFACE)
    patched(path, flags_offset(path, "PT_LOAD"), b"\x07")
    assert rules_broken(path, library_policy()) == [("writable-code", None)]


def test_text_relocations_are_named(compiled: Compile) -> None:
    table = r'__asm__(".section .rodata.table,\"a\",@progbits\n.quad rand\n.text\n");' + "\n"
    options = (*SHARED, "-Wl,-z,notext", "-Wl,--no-gc-sections")
    path = compiled(X86_64_GNU, INTERFACE + table, *options)
    assert rules_broken(path, library_policy()) == [("text-relocation", "rand")]


@pytest.mark.parametrize("arch", ["aarch64", "armv7"])
def test_another_machine_is_refused(compiled: Compile, arch: Arch) -> None:
    path = compiled(X86_64_GNU, INTERFACE)
    assert ("machine", None) in rules_broken(path, library_policy(arch))


def test_a_program_for_glibc_is_no_static_one(compiled: Compile) -> None:
    path = compiled(X86_64_GNU, "int main(void) { return 0; }\n", "-fPIE", name="run")
    glibc = Platform(arch="x86_64", libc=Libc(family="glibc", floor="2.17"))
    audit(path, policy_for(glibc, "executable"))
    musl = Platform(arch="x86_64", libc=Libc(family="musl", floor=None))
    assert {rule for rule, _ in rules_broken(path, policy_for(musl, "executable"))} == {
        "interpreter",
        "needed",
        "symbol-version",
    }


def test_damage_never_crashes_the_audit(compiled: Compile, tmp_path: Path) -> None:
    whole = compiled(
        "x86_64-linux-gnu.2.34",
        "int rand(void);\n" + INTERFACE.replace("return 0", "return rand()"),
    ).read_bytes()
    damaged = tmp_path / "damaged.so"

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=8),
        st.integers(0, len(whole)) | st.just(len(whole)),
    )
    def damage(changes: list[tuple[int, int]], end: int) -> None:
        raw = bytearray(whole)
        for at, byte in changes:
            raw[at] = byte
        damaged.write_bytes(raw[:end])
        try:
            audit(damaged, library_policy(floor="2.34"))
        except BuildFailed as failure:
            assert failure.reason == "elf-audit"

    damage()


def test_tables_that_are_hidden_from_the_audit_are_refused(compiled: Compile) -> None:
    path = compiled(X86_64_GNU, INTERFACE)
    # No section table: the loader would not mind, and we would see neither symbols nor needs.
    patched(path, 0x28, bytes(8))
    patched(path, 0x3A, bytes(6))
    assert rules_broken(path, library_policy()) == [("malformed", None)]
