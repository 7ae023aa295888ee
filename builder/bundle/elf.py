"""An ELF file as a frozen value: everything the audit judges, nothing it does not.

Reading and judging are apart so that each rule can be shown on a plain value. Readers of ELF trust
counts and offsets in the file; those that pyelftools would loop over are checked here first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import ARMAttributesSection, SymbolTableSection

_DF_TEXTREL, _DF_BIND_NOW = 0x4, 0x8
_DF_1_NOW, _DF_1_NODELETE, _DF_1_PIE = 0x1, 0x8, 0x08000000
_PF_X, _PF_W = 0x1, 0x2
_SMALLEST_VERSION_ENTRY = 16  # bytes of Elf_Verneed and of Elf_Vernaux
_SEEN_TWICE = (
    ("DT_SYMTAB", "SHT_DYNSYM"),
    ("DT_STRTAB", "SHT_STRTAB"),
    ("DT_VERNEED", "SHT_GNU_verneed"),
    ("DT_VERSYM", "SHT_GNU_versym"),
)
_PACKED = frozenset({"DT_RELR", "DT_ANDROID_REL", "DT_ANDROID_RELA", "DT_ANDROID_RELR"})
_VERSION_INDEX = 0x7FFF  # the top bit of a .gnu.version entry means hidden


class MalformedElf(Exception):
    """The file is no ELF, or its parts contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One program header: its type (``PT_LOAD``) and what memory it makes of which addresses.

    ``offset`` is where its bytes lie in the file; ``align`` is what it asks of ``start``.
    """

    type: str
    writable: bool
    executable: bool
    start: int
    end: int
    offset: int
    align: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One undefined dynamic symbol; ``version`` and ``library`` where it names them."""

    symbol: str
    version: str | None
    library: str | None
    weak: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionNeed:
    """One symbol version the loader must find in ``library``, whether or not a symbol uses it."""

    version: str
    library: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """What an ELF file says of itself, in pyelftools' spelling of the constants.

    ``text_relocations`` names the symbol (empty for none) of each relocation into memory that is
    not writable. ``vfp_args`` is Tag_ABI_VFP_args of the Arm attributes: 1 is floats in registers.
    ``packed_relocations`` tells of RELR or Android's own packing, ``gnu_hash`` of that hash table,
    ``binds_at_load`` of a loader that is asked to resolve every symbol before the program starts,
    ``stays_loaded`` of one that is asked never to unload the file.
    """

    size_bytes: int
    machine: str
    bits: int
    little_endian: bool
    type: str
    flags: int
    vfp_args: int | None
    interpreter: str | None
    segments: tuple[Segment, ...]
    needed: tuple[str, ...]
    soname: str | None
    search_paths: tuple[str, ...]
    declares_text_relocations: bool
    text_relocations: tuple[str, ...]
    packed_relocations: bool
    gnu_hash: bool
    position_independent_executable: bool
    binds_at_load: bool
    stays_loaded: bool
    imports: tuple[Import, ...]
    version_needs: tuple[VersionNeed, ...]
    exports: tuple[str, ...]


def read_elf(path: Path) -> Elf:
    """Read the ELF file at ``path``. Raises ``MalformedElf``, or ``OSError`` as the disk does."""
    with path.open("rb") as stream:
        try:
            return _read(stream, path.stat().st_size)
        except (OSError, MalformedElf):
            raise
        except Exception as error:  # pyelftools answers damage with whatever its parser trips over
            raise MalformedElf(str(error) or type(error).__name__) from error


def undefined_symbols(path: Path) -> frozenset[str]:
    """Return the names that the relocatable object at ``path`` leaves to others.

    Raises as ``read_elf`` does.
    """
    with path.open("rb") as stream:
        try:
            symbols = _symbols(ELFFile(stream), "SHT_SYMTAB")
            return frozenset(s.name for s in symbols if s.name and _is_undefined(s))
        except OSError:
            raise
        except Exception as error:  # as above
            raise MalformedElf(str(error) or type(error).__name__) from error


def _read(stream: BinaryIO, size_bytes: int) -> Elf:
    file = ELFFile(stream)
    dynamic = tuple(_dynamic_tags(file))
    tags = {tag.entry.d_tag for tag in dynamic}
    segments = tuple(_segments(file))
    needs = tuple(_version_needs(file))
    symbols = _symbols(file, "SHT_DYNSYM")
    flags_1 = _flags(dynamic, "DT_FLAGS_1")
    return Elf(
        size_bytes=size_bytes,
        machine=str(file["e_machine"]),
        bits=file.elfclass,
        little_endian=file.little_endian,
        type=str(file["e_type"]),
        flags=file["e_flags"],
        vfp_args=_vfp_args(file),
        interpreter=_interpreter(file),
        segments=segments,
        needed=tuple(tag.needed for tag in dynamic if tag.entry.d_tag == "DT_NEEDED"),
        soname=next((tag.soname for tag in dynamic if tag.entry.d_tag == "DT_SONAME"), None),
        search_paths=tuple(_search_paths(dynamic)),
        declares_text_relocations=any(_declares_text_relocations(tag) for tag in dynamic),
        text_relocations=tuple(_text_relocations(file, segments)),
        packed_relocations=not tags.isdisjoint(_PACKED),
        gnu_hash="DT_GNU_HASH" in tags,
        position_independent_executable=flags_1 & _DF_1_PIE != 0,
        binds_at_load="DT_BIND_NOW" in tags
        or _flags(dynamic, "DT_FLAGS") & _DF_BIND_NOW != 0
        or flags_1 & _DF_1_NOW != 0,
        stays_loaded=flags_1 & _DF_1_NODELETE != 0,
        imports=tuple(_imports(file, symbols, needs)),
        version_needs=tuple(need for _, need in needs),
        exports=tuple(sorted(s.name for s in symbols if _is_exported(s))),
    )


def _dynamic_tags(file: ELFFile) -> Iterator[Any]:
    """Yield the dynamic table's entries.

    The loader reads the segment and we the sections: a file whose two views differ is refused.
    """
    segment = next((s for s in file.iter_segments() if s["p_type"] == "PT_DYNAMIC"), None)
    section = next((s for s in file.iter_sections() if isinstance(s, DynamicSection)), None)
    if segment is None and section is None:
        return
    if segment is None or section is None or segment["p_offset"] != section["sh_offset"]:
        raise MalformedElf("the dynamic segment and the section table differ")
    tags = list(section.iter_tags())
    for tag, kind in _SEEN_TWICE:
        by_loader = {t.entry.d_val for t in tags if t.entry.d_tag == tag}
        by_us = {
            s["sh_addr"] for s in file.iter_sections() if s["sh_type"] == kind and s["sh_addr"]
        }
        _require(by_loader == by_us, f"{tag} and the section table differ")
    yield from tags


def _segments(file: ELFFile) -> Iterator[Segment]:
    for segment in file.iter_segments():
        yield Segment(
            type=str(segment["p_type"]),
            writable=bool(segment["p_flags"] & _PF_W),
            executable=bool(segment["p_flags"] & _PF_X),
            start=segment["p_vaddr"],
            end=segment["p_vaddr"] + segment["p_memsz"],
            offset=segment["p_offset"],
            align=segment["p_align"],
        )


def _interpreter(file: ELFFile) -> str | None:
    segments = (s for s in file.iter_segments() if s["p_type"] == "PT_INTERP")
    return next((s.get_interp_name() for s in segments), None)


def _search_paths(dynamic: tuple[Any, ...]) -> Iterator[str]:
    for tag in dynamic:
        if tag.entry.d_tag == "DT_RPATH":
            yield tag.rpath
        elif tag.entry.d_tag == "DT_RUNPATH":
            yield tag.runpath


def _flags(dynamic: tuple[Any, ...], name: str) -> int:
    return next((int(tag.entry.d_val) for tag in dynamic if tag.entry.d_tag == name), 0)


def _declares_text_relocations(tag: Any) -> bool:
    kind, value = tag.entry.d_tag, tag.entry.d_val
    return kind == "DT_TEXTREL" or (kind == "DT_FLAGS" and bool(value & _DF_TEXTREL))


def _text_relocations(file: ELFFile, segments: tuple[Segment, ...]) -> Iterator[str]:
    read_only = [s for s in segments if s.type == "PT_LOAD" and not s.writable]
    for section in file.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_flags"] & 0x2:  # SHF_ALLOC
            symbols = file.get_section(section["sh_link"])
            for relocation in section.iter_relocations():
                if any(s.start <= relocation["r_offset"] < s.end for s in read_only):
                    index = relocation["r_info_sym"]
                    yield symbols.get_symbol(index).name if index else ""


def _version_needs(file: ELFFile) -> Iterator[tuple[int, VersionNeed]]:
    """Yield each version need with the index that ``.gnu.version`` refers to it by."""
    for section in file.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            budget = section["sh_size"] // _SMALLEST_VERSION_ENTRY
            _require(section["sh_info"] <= budget, "more version needs than bytes for them")
            for library, versions in section.iter_versions():
                budget -= library["vn_cnt"]
                _require(budget >= 0, "more versions than bytes for them")
                for version in versions:
                    need = VersionNeed(version=version.name, library=library.name)
                    yield version["vna_other"] & _VERSION_INDEX, need


def _symbols(file: ELFFile, kind: str) -> tuple[Any, ...]:
    tables = (s for s in file.iter_sections() if isinstance(s, SymbolTableSection))
    table = next((s for s in tables if s["sh_type"] == kind), None)
    return tuple(table.iter_symbols()) if table else ()


def _imports(
    file: ELFFile, symbols: tuple[Any, ...], needs: tuple[tuple[int, VersionNeed], ...]
) -> Iterator[Import]:
    by_index = dict(needs)
    versions = next((s for s in file.iter_sections() if isinstance(s, GNUVerSymSection)), None)
    for index, symbol in enumerate(symbols):
        if symbol.name and _is_undefined(symbol):
            mark = versions.get_symbol(index)["ndx"] if versions else None
            need = by_index.get(mark & _VERSION_INDEX) if isinstance(mark, int) else None
            yield Import(
                symbol=symbol.name,
                version=need.version if need else None,
                library=need.library if need else None,
                weak=symbol["st_info"]["bind"] == "STB_WEAK",
            )


def _is_undefined(symbol: Any) -> bool:
    return bool(symbol["st_shndx"] == "SHN_UNDEF")


def _is_exported(symbol: Any) -> bool:
    visible = symbol["st_other"]["visibility"] in ("STV_DEFAULT", "STV_PROTECTED")
    public = symbol["st_info"]["bind"] != "STB_LOCAL"
    return bool(symbol.name) and visible and public and not _is_undefined(symbol)


def _vfp_args(file: ELFFile) -> int | None:
    for section in file.iter_sections():
        if isinstance(section, ARMAttributesSection):
            for subsection in section.iter_subsections():
                for scope in subsection.iter_subsubsections():
                    for attribute in scope.iter_attributes("TAG_ABI_VFP_ARGS"):
                        return int(attribute.value)
    return None


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise MalformedElf(otherwise)
