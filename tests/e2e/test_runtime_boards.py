"""The runtime and the runner as the boards get them: clean, small, and without surprises inside."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from builder.model.target import Libc, Platform
from builder.toolchain import zig as toolchain
from tests.e2e.runtime_builds import (
    CHECKSUM,
    EXPECTED,
    FIXTURE,
    INCLUDES,
    INPUTS,
    KERNELS,
    LIBRARY,
    LOADERS,
    RUNNER,
    RUNTIME,
    STRICT,
    WEIGHTS,
    Gcc,
    call,
    fill_bundle,
    make_bundle,
    report,
    spoil_one_bit,
    zig,
)

MODEL = (FIXTURE / "plan.c", KERNELS, *LIBRARY)
TRIPLES = (
    "x86_64-linux-gnu.2.17",
    "aarch64-linux-gnu.2.27",
    "arm-linux-gnueabihf.2.28",
    "x86_64-linux-musl",
    "aarch64-linux-musl",
)
CROSS = ("-Os", "-fPIC", "-fvisibility=hidden", "-fno-unwind-tables", *STRICT, *INCLUDES)

FROM_LIBC = {
    "__errno_location",
    "clock_gettime",
    "free",
    "getauxval",
    "memcpy",
    "memmove",
    "memset",
    "posix_memalign",
    "pthread_create",
    "pthread_getspecific",
    "pthread_join",
    "pthread_key_create",
    "__libc_current_sigrtmin",
    "pthread_key_delete",
    "pthread_setspecific",
    "strcmp",
    "syscall",
}
FROM_COMPILER = {
    *("__aeabi_uldivmod", "__aeabi_memcpy", "__aeabi_memset", "__aeabi_memclr8"),
    *(f"__aeabi_{real}2{whole}" for real in "fd" for whole in ("lz", "ulz")),
    *(f"__aeabi_{whole}2{real}" for whole in ("l", "ul") for real in "fd"),
}
FROM_PLAN = {"bw_model_plan"}


def symbols(path: Path) -> tuple[set[str], set[str]]:
    """Return the global names an object defines and those it lacks."""
    with path.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        named = [symbol for symbol in table.iter_symbols() if symbol.name]
    lacks = {symbol.name for symbol in named if symbol["st_shndx"] == "SHN_UNDEF"}
    defines = {symbol.name for symbol in named if symbol["st_info"]["bind"] != "STB_LOCAL"}
    return defines - lacks, lacks


def tls_sections(path: Path) -> list[str]:
    with path.open("rb") as stream:
        sections = ELFFile(stream).iter_sections()
        return [s.name for s in sections if s["sh_flags"] & 0x400]  # SHF_TLS


@pytest.mark.parametrize("triple", TRIPLES)
def test_boards_compile_clean(tmp_path: Path, triple: str) -> None:
    for source in (*LIBRARY, *RUNNER, *LOADERS.values()):
        out = tmp_path / f"{source.stem}.o"
        zig("-target", triple, "-c", *CROSS, source, "-o", out, folder=tmp_path)
    objects = [tmp_path / f"{source.stem}.o" for source in LIBRARY]
    tables = [symbols(path) for path in objects]
    defined = {name for defines, _ in tables for name in defines}
    missing = {name for _, lacks in tables for name in lacks} - defined
    assert missing <= FROM_LIBC | FROM_COMPILER | FROM_PLAN
    assert [tls_sections(path) for path in objects] == [[] for _ in objects]


def test_library_includes_no_libc_header() -> None:
    allowed = {"stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h"}
    headers = {source.with_suffix(".h") for source in LIBRARY} | {RUNTIME / "instance.h"}
    texts = [path.read_text() for path in (*LIBRARY, *headers) if path.exists()]
    included = {name for text in texts for name in re.findall(r"#include <(.+)>", text)}
    assert included <= allowed


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.parametrize(
    ("triple", "emulators"),
    [
        ("aarch64-linux-musl", ("qemu-aarch64-static", "qemu-aarch64")),
        ("arm-linux-musleabihf", ("qemu-arm-static", "qemu-arm")),
    ],
)
def test_boards_run(tmp_path: Path, triple: str, emulators: tuple[str, ...]) -> None:
    emulator = next(filter(None, map(shutil.which, emulators)), None)
    if emulator is None:
        pytest.skip(f"{emulators[0]} is not installed")
    fill_bundle(tmp_path)
    (tmp_path / "bin").mkdir()
    sources = (*MODEL, *RUNNER, LOADERS["static"])
    link = ("-static", "-s", CHECKSUM, "-o", tmp_path / "bin" / "run")
    zig("-target", triple, *CROSS, *link, *sources, folder=tmp_path)
    runner = tmp_path / "bin" / "run"
    checked = call(emulator, runner, "--check", "--threads", "2", "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["ok"] is True
    profiled = json.loads(call(emulator, runner, "--profile", "--json").stdout)
    assert 0 < profiled["total_us"] < 60e6  # the hand-declared clock ticks in nanoseconds
    spoil_one_bit(tmp_path / "share" / "weights.bin")
    assert call(emulator, runner, "--check").returncode == 3


def compiling(platform: Platform, source: Path, out: Path, part: toolchain.Part) -> tuple[str, ...]:
    """Return what the build says to zig cc, with the fixture's own definitions."""
    defines = (CHECKSUM.removeprefix("-D"),)
    command = toolchain.compile_c(
        platform, source, out, include=RUNTIME, defines=defines, part=part
    )
    return command[1:]


PLATFORMS = (
    Platform(arch="x86_64", libc=Libc(family="glibc", floor="2.17")),
    Platform(arch="aarch64", libc=Libc(family="glibc", floor="2.27")),
    Platform(arch="armv7", libc=Libc(family="glibc", floor="2.28")),
)


def objects_of(
    platform: Platform, part: toolchain.Part, sources: Iterable[Path], folder: Path
) -> list[Path]:
    objects = []
    for source in sources:
        objects.append(folder / f"{source.stem}.o")
        zig(*compiling(platform, source, objects[-1], part), folder=folder)
    return objects


def a_library(platform: Platform, folder: Path) -> Path:
    """Return the fixture model's library as the build compiles and links it."""
    exports, library = folder / "exports.map", folder / "libmodel.so"
    exports.write_text("{ global: bw_*; local: *; };\n")
    objects = objects_of(platform, "library", MODEL, folder)
    zig(*toolchain.link_shared(platform, objects, exports, library)[1:], folder=folder)
    return library


@pytest.mark.parametrize("platform", PLATFORMS, ids=toolchain.zig_target)
def test_code_stays_small(tmp_path: Path, platform: Platform) -> None:
    """As the build links it, with a fixture model of 4 KB inside."""
    library, runner = a_library(platform, tmp_path), tmp_path / "run"
    objects = objects_of(platform, "runner", (*RUNNER, LOADERS["shared"]), tmp_path)
    zig(*toolchain.link_runner(platform, objects, runner)[1:], folder=tmp_path)
    assert library.stat().st_size + runner.stat().st_size <= 64 * 1024


CLOSED_UNDER_WORKERS = """\
import ctypes, sys, time
library = ctypes.CDLL(sys.argv[1])
class Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("threads", ctypes.c_int32), ("path", ctypes.c_char_p)]
options = Options(ctypes.sizeof(Options), 3, sys.argv[2].encode())
model = ctypes.c_void_p()
assert library.bw_create(ctypes.byref(options), ctypes.byref(model)) == 0
destroy = library.bw_destroy
close = ctypes.CDLL(None).dlclose
close.argtypes = [ctypes.c_void_p]
assert close(library._handle) == 0
time.sleep(0.2)  # spinning workers go to sleep: both parts of their loop are run
destroy(model)
"""


def test_a_library_that_is_closed_keeps_its_workers_alive(tmp_path: Path) -> None:
    library = a_library(PLATFORMS[0], tmp_path)
    fill_bundle(tmp_path)
    weights = tmp_path / "share" / "weights.bin"
    closed = call(sys.executable, "-c", CLOSED_UNDER_WORKERS, library, weights)
    assert closed.returncode == 0, closed.stderr


def test_runner_takes_little_memory(gcc: Gcc, tmp_path: Path) -> None:
    bundle = make_bundle(gcc, tmp_path / "bundle", "none", "-Os", "-s")
    document = report(bundle, "--bench", "--runs", "3", "--threads", "2")
    buffers = sum(value.nbytes for value in (*INPUTS.values(), *EXPECTED.values()))
    assert document["peak_rss_bytes"] <= len(WEIGHTS) + 128 + buffers + 2 * 1024 * 1024
