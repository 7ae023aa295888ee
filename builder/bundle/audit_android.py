"""What Android's loader asks of a file beyond what every loader does.

Sources: bionic's ``docs/elf-tls.md``, linker and ``*.map.txt``; Android's guide to 16 KiB pages.
"""

from __future__ import annotations

from collections.abc import Iterator

from builder.bundle.elf import Elf, Segment
from builder.bundle.elf_policy import ElfPolicy
from builder.bundle.violation import Violation

_RELR_API, _TLS_API = 28, 29

_VERSION_LEVELS = {
    **{"LIBC": 1, "LIBC_N": 24, "LIBC_O": 26, "LIBC_OMR1": 27, "LIBC_P": 28, "LIBC_Q": 29},
    **{"LIBC_R": 30, "LIBC_S": 31, "LIBC_T": 33, "LIBC_U": 34, "LIBC_V": 35, "LIBC_36": 36},
    **{"LIBLOG": 1, "LIBLOG_L": 21, "LIBLOG_M": 23, "LIBLOG_O": 26, "LIBLOG_Q": 29},
}
"""Symbol version, as the libraries of an NDK have them, -> the API level that it came with."""


def _pages(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if (page := policy.page_bytes) is None:
        return
    for load in _loads(elf):
        if load.align % page or (load.start - load.offset) % page:
            yield Violation(
                rule="page-alignment",
                what=f"has a segment at {load.start:#x} that pages of {page} bytes cannot map",
            )


def _read_only_after_relocation(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    """Yield RELRO segments that bionic, which rounds them out to pages, could not protect."""
    if (page := policy.page_bytes) is None:
        return
    for relro in (s for s in elf.segments if s.type == "PT_GNU_RELRO"):
        inside = [s for s in _loads(elf) if s.start <= relro.start and relro.end <= s.end]
        last_page = range(relro.end, _round_up(relro.end, page))
        if not inside:
            what = "has a RELRO segment that is longer than the memory it lies in"
            yield Violation(rule="relro", what=what)
        elif any(s.start in last_page for s in _loads(elf) if s not in inside):
            what = f"has variables in the last {page}-byte page of what becomes read-only"
            yield Violation(rule="relro", what=what)


def _thread_local(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    too_old = policy.bionic is not None and policy.bionic.api < _TLS_API
    if too_old and any(segment.type == "PT_TLS" for segment in elf.segments):
        what = f"has thread-local variables; Android has those from API level {_TLS_API} on"
        yield Violation(rule="tls", what=what)


def _packed_relocations(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.bionic is not None and policy.bionic.api < _RELR_API and elf.packed_relocations:
        what = f"has packed relocations; Android reads those from API level {_RELR_API} on"
        yield Violation(rule="packed-relocations", what=what)


def _hash_table(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.bionic is not None and not elf.gnu_hash:
        yield Violation(rule="gnu-hash", what="has no GNU hash table to look symbols up in")


def _known_symbols(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if (bionic := policy.bionic) is None:
        return
    for wanted in elf.imports:
        level = bionic.symbols.get(wanted.symbol)
        if level is None:
            yield Violation(
                rule="unresolved",
                what=f"{wanted.symbol} is none of the functions known to be in Android's libraries",
                symbol=wanted.symbol,
            )
        elif level > bionic.api:
            yield Violation(
                rule="api-level",
                what=f"{wanted.symbol} came with API level {level}; the target's is {bionic.api}",
                symbol=wanted.symbol,
            )


def _symbol_versions(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if (bionic := policy.bionic) is None:
        return
    for need in elf.version_needs:
        what, level = f"needs {need.version} of {need.library}", _VERSION_LEVELS.get(need.version)
        if level is None:
            why = "which Android promises to no app"
            yield Violation(rule="symbol-version", what=f"{what}, {why}", library=need.library)
        elif level > bionic.api:
            why = f"which came with API level {level}; the target's is {bionic.api}"
            yield Violation(rule="api-level", what=f"{what}, {why}", library=need.library)


def _loads(elf: Elf) -> tuple[Segment, ...]:
    return tuple(segment for segment in elf.segments if segment.type == "PT_LOAD")


def _round_up(address: int, page: int) -> int:
    return -(-address // page) * page


ANDROID_RULES = (
    _pages,
    _read_only_after_relocation,
    _thread_local,
    _packed_relocations,
    _hash_table,
    _known_symbols,
    _symbol_versions,
)
"""Each a function from (file, policy) to violations; none says anything of other platforms."""
