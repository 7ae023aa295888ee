"""A model library for Android: small, fit for the loader, and right where one like it loads it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_P_TYPE_BASE

from builder.bundle.audit import audit
from builder.bundle.elf_policy import policy_for
from builder.errors import BuildFailed
from builder.model.target import Arch
from builder.package_files import templates_root
from builder.payload.bionic import read_symbols
from builder.toolchain.zig import zig_target
from tests.e2e.android_builds import ARCHS, EMULATORS, Kit, make_loader, platform
from tests.e2e.runtime_builds import FIXTURE, KERNELS, call, fill_bundle

SYMBOLS = read_symbols(templates_root())
MODEL = (FIXTURE / "plan.c", KERNELS)

pytestmark = pytest.mark.timeout(900)  # the first build fills zig's cache


@pytest.fixture(scope="module", params=ARCHS)
def arch(request: pytest.FixtureRequest) -> Arch:
    arch: Arch = request.param
    return arch


@pytest.fixture(scope="module")
def kit(arch: Arch, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return Kit.make(arch, tmp_path_factory.mktemp(f"kit-{arch}"))


@pytest.fixture(scope="module")
def objects(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("objects")
    return [*kit.runtime(), *(kit.compile(c, folder / f"{c.stem}.o") for c in MODEL)]


def rules_broken(path: Path, arch: Arch) -> set[tuple[str, str | None]]:
    with pytest.raises(BuildFailed) as caught:
        audit(path, policy_for(platform(arch), "shared library", SYMBOLS))
    assert caught.value.reason == "elf-audit"
    return {(v["rule"], v["symbol"]) for v in caught.value.details["violations"]}


def test_the_runtime_is_small_and_passes(kit: Kit, objects: list[Path], tmp_path: Path) -> None:
    library = kit.link(objects, tmp_path / "libmodel.so")
    facts = audit(library, policy_for(platform(kit.arch), "shared library", SYMBOLS))
    assert facts.needed == ("libc.so",)
    assert facts.glibc is None
    assert facts.size_bytes <= 64 * 1024


def test_another_c_librarys_loader_takes_it_and_it_computes(
    kit: Kit, objects: list[Path], tmp_path: Path
) -> None:
    """glibc's loader, a libc.so with bionic's one own name: relocations, hashes, calls are real."""
    emulator = EMULATORS[kit.arch]
    if emulator and not (shutil.which(emulator[0]) and Path(emulator[1]).is_dir()):
        pytest.skip(f"{emulator[0]} or {emulator[1]} is not installed")
    library = kit.link(objects, tmp_path / "libmodel.so")
    fill_bundle(tmp_path / "bundle")
    loader = make_loader(kit.arch, tmp_path)
    where = ("--bundle", tmp_path / "bundle", "--library", library)
    done = call(*loader, *where, "--check", "--threads", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (("max-page-size=16384", "max-page-size=4096"), {("page-alignment", None)}),
        (("--hash-style=gnu", "--hash-style=sysv"), {("gnu-hash", None)}),
        (("--eh-frame-hdr", "--pack-dyn-relocs=relr"), {("packed-relocations", None)}),
        (("libmodel.so", "libother.so"), {("soname", None)}),
    ],
    ids=["small-pages", "sysv-hash", "relr", "soname"],
)
def test_a_link_done_otherwise_is_refused(
    kit: Kit,
    objects: list[Path],
    tmp_path: Path,
    change: tuple[str, str],
    broken: set[tuple[str, str | None]],
) -> None:
    library = kit.link(objects, tmp_path / "libmodel.so", change)
    assert rules_broken(library, kit.arch) >= broken


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("_Thread_local int here;\nint *bw_x(void) { return &here; }\n", {("tls", None)}),
        (
            "void *aligned_alloc(unsigned long, unsigned long);\n"
            "void *bw_x(void) { return aligned_alloc(64, 64); }\n",
            {("api-level", "aligned_alloc")},
        ),
        (
            "int mystery(void);\nint bw_x(void) { return mystery(); }\n",
            {("unresolved", "mystery")},
        ),
    ],
    ids=["thread-local", "newer", "unknown"],
)
def test_code_that_wants_more_than_the_level_has_is_refused(
    kit: Kit,
    objects: list[Path],
    tmp_path: Path,
    text: str,
    broken: set[tuple[str, str | None]],
) -> None:
    source = tmp_path / "extra.c"
    source.write_text('__attribute__((visibility("default"))) ' + text.replace("\n", " "))
    extra = tmp_path / "extra.o"
    target = ("-target", zig_target(platform(kit.arch)))
    kit.zig.run(("cc", *target, "-O1", "-fPIC", "-c", str(source), "-o", str(extra)))
    library = kit.link([*objects, extra], tmp_path / "libmodel.so", ("--no-undefined", ""))
    assert rules_broken(library, kit.arch) >= broken


@pytest.mark.parametrize(
    ("segment", "field", "value", "rule"),
    [
        ("PT_GNU_RELRO", "p_memsz", 0x40000, "relro"),
        ("PT_LOAD", "p_flags", 7, "writable-code"),
        ("PT_LOAD", "p_align", 0x1000, "page-alignment"),
        ("PT_GNU_STACK", "p_flags", 7, "executable-stack"),
    ],
)
def test_a_segment_made_wrong_is_refused(
    kit: Kit, objects: list[Path], tmp_path: Path, segment: str, field: str, value: int, rule: str
) -> None:
    library = kit.link(objects, tmp_path / "libmodel.so")
    with library.open("rb") as stream:
        file = ELFFile(stream)
        index = [s["p_type"] for s in file.iter_segments()].index(segment)
        start = file["e_phoff"] + index * file["e_phentsize"]
        header = file.structs.Elf_Phdr
        content = header.parse_stream(io.BytesIO(library.read_bytes()[start:]))
    content[field] = value
    content["p_type"] = ENUM_P_TYPE_BASE[segment]
    raw = bytearray(library.read_bytes())
    raw[start : start + header.sizeof()] = header.build(content)
    library.write_bytes(raw)
    assert rules_broken(library, kit.arch) == {(rule, None)}


def test_a_library_without_section_headers_is_refused(
    kit: Kit, objects: list[Path], tmp_path: Path
) -> None:
    library = kit.link(objects, tmp_path / "libmodel.so")
    raw = bytearray(library.read_bytes())
    table, count = (0x28, 0x3C) if raw[4] == 2 else (0x20, 0x30)
    raw[table : table + 4] = bytes(4)
    raw[count : count + 4] = bytes(4)
    library.write_bytes(raw)
    assert rules_broken(library, kit.arch) == {("malformed", None)}
