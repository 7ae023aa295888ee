"""Judge an ELF file before it is shipped: will the board's loader take it, and is it safe to load?

A rule is a function from (file, policy) to violations. Every rule runs, so one failed build tells
everything that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builder.bundle.audit_android import ANDROID_RULES
from builder.bundle.elf import Elf, MalformedElf, read_elf, undefined_symbols
from builder.bundle.elf_policy import ElfPolicy
from builder.bundle.violation import Violation
from builder.errors import BuildFailed

_GLIBC_VERSION = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")
_ARM_HARD_FLOAT, _ARM_SOFT_FLOAT = 0x400, 0x200  # EF_ARM_ABI_FLOAT_*
_STACK_CHECK = "__stack_chk_fail"
_VFP_REGISTERS = 1  # Tag_ABI_VFP_args
_ELF_TYPES = {
    "shared library": ("ET_DYN",),
    "executable": ("ET_EXEC", "ET_DYN"),
    "object": ("ET_REL",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFacts:
    """What is worth knowing of a file that passed; ``glibc`` is the newest version it needs."""

    file: str
    machine: str
    needed: tuple[str, ...]
    glibc: str | None
    exports: int
    size_bytes: int


def audit(path: Path, policy: ElfPolicy, objects: Sequence[Path] = ()) -> ElfFacts:
    """Read the ELF file at ``path``, apply every rule of ``policy`` and return the file's facts.

    ``objects`` are the relocatable files it was linked from, to name the ones that want a symbol.
    Raises ``BuildFailed`` (``elf-audit``) with all violations under ``violations`` in its details;
    a file that cannot be read as ELF is the violation ``malformed``.
    """
    try:
        elf = read_elf(path)
        if found := (*judge(elf, policy), *_stack_protector(objects)):
            raise _failure(path, [_blame(violation, objects) for violation in found])
    except (MalformedElf, OSError) as error:
        raise _failure(
            path, [Violation(rule="malformed", what=f"not sound ELF: {error}")]
        ) from error
    return ElfFacts(
        file=path.name,
        machine=elf.machine,
        needed=elf.needed,
        glibc=_newest_glibc(elf),
        exports=len(elf.exports),
        size_bytes=elf.size_bytes,
    )


def judge(elf: Elf, policy: ElfPolicy) -> tuple[Violation, ...]:
    """Return every violation of ``policy``; an unlinked object is only asked its machine."""
    rules = _OBJECT_RULES if policy.kind == "object" else _OBJECT_RULES + _LINKED_RULES
    return tuple(violation for rule in rules for violation in rule(elf, policy))


def _machine(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if (elf.machine, elf.bits, elf.little_endian) != (policy.machine, policy.bits, True):
        order = "little" if elf.little_endian else "big"
        yield Violation(
            rule="machine",
            what=f"is {elf.bits}-bit {order}-endian {elf.machine}, "
            f"not {policy.bits}-bit little-endian {policy.machine}",
        )
    if elf.type not in _ELF_TYPES[policy.kind]:
        yield Violation(rule="type", what=f"is of type {elf.type}, which no {policy.kind} is")


def _float_abi(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.float_abi == "hard":
        yield from _hard_float(elf, policy)
    elif policy.float_abi == "soft" and (
        elf.flags & _ARM_HARD_FLOAT or elf.vfp_args == _VFP_REGISTERS
    ):
        yield Violation(
            rule="float-abi",
            what="passes floats in registers of their own; Android's libm does not",
        )


def _hard_float(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    # An object's header does not say; a linked file's must.
    marked_soft = elf.flags & _ARM_SOFT_FLOAT or (
        policy.kind != "object" and not elf.flags & _ARM_HARD_FLOAT
    )
    # Stripping may remove the attributes of a linked file; an object without them passes floats in
    # integer registers, and linkers mix the two in silence.
    silent = elf.vfp_args is None and policy.kind != "object"
    if marked_soft or not (silent or elf.vfp_args == _VFP_REGISTERS):
        yield Violation(
            rule="float-abi", what="passes floats in integer registers; the board's libm does not"
        )


def _needed(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    for library in elf.needed:
        if library not in policy.needed:
            allowed = ", ".join(sorted(policy.needed)) or "none"
            yield Violation(
                rule="needed",
                what=f"needs the library {library}; allowed: {allowed}",
                library=library,
            )


def _interpreter(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if elf.interpreter != policy.interpreter:
        yield Violation(
            rule="interpreter",
            what=f"has the loader {elf.interpreter or 'none'}, not {policy.interpreter or 'none'}",
        )


def _versions(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.bionic is not None:
        return  # it has versions of its own
    for need in elf.version_needs:
        number = _glibc_number(need.version)
        if policy.glibc_floor is None or number is None:
            rule, why = "symbol-version", "which the board's C library does not promise"
        elif number > policy.glibc_floor:
            rule, why = "glibc-floor", f"but the target's floor is {_dotted(policy.glibc_floor)}"
        else:
            continue
        users = [i for i in elf.imports if (i.version, i.library) == (need.version, need.library)]
        symbols: list[str | None] = [user.symbol for user in users]
        for symbol in symbols or [None]:
            yield Violation(
                rule=rule,
                what=f"{symbol or 'the file'} needs {need.version} of {need.library}, {why}",
                symbol=symbol,
                library=need.library,
            )


def _unresolved(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    """Yield symbols nobody provides: glibc versions each of its own, musl versions none."""
    if policy.bionic is not None:
        return  # judged by name
    for wanted in elf.imports:
        orphan = not elf.needed or (policy.glibc_floor is not None and wanted.version is None)
        if orphan and not wanted.weak:
            yield Violation(
                rule="unresolved",
                what=f"{wanted.symbol} is defined neither here nor in a library it may need",
                symbol=wanted.symbol,
            )


def _exports(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.exports is None:
        return
    for symbol in sorted(set(elf.exports) - policy.exports):
        what = f"exports {symbol}, which is no part of the interface"
        yield Violation(rule="export", what=what, symbol=symbol)
    for symbol in sorted(policy.exports - set(elf.exports)):
        yield Violation(rule="missing-export", what=f"does not export {symbol}", symbol=symbol)


def _soname(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.soname is not None and elf.soname != policy.soname:
        yield Violation(
            rule="soname",
            what=f"has the soname {elf.soname or 'none'}, not {policy.soname}: programs linked "
            "with it would look for the build machine's path",
        )


def _text_relocations(elf: Elf, _: ElfPolicy) -> Iterator[Violation]:
    for symbol in sorted(set(elf.text_relocations)):
        named = f" against {symbol}" if symbol else ""
        what = f"has a relocation{named} in memory that is not writable"
        yield Violation(rule="text-relocation", what=what, symbol=symbol or None)
    if elf.declares_text_relocations and not elf.text_relocations:
        yield Violation(rule="text-relocation", what="declares text relocations")


def _search_paths(elf: Elf, _: ElfPolicy) -> Iterator[Violation]:
    for path in elf.search_paths:
        what = f"searches {path} for libraries, a path of the build machine"
        yield Violation(rule="search-path", what=what)


def _memory(elf: Elf, _: ElfPolicy) -> Iterator[Violation]:
    stacks = [segment for segment in elf.segments if segment.type == "PT_GNU_STACK"]
    if not stacks or any(stack.executable for stack in stacks):
        yield Violation(rule="executable-stack", what="does not ask for a stack without execution")
    if any(s.type == "PT_LOAD" and s.writable and s.executable for s in elf.segments):
        what = "has a segment that is writable and executable at once"
        yield Violation(rule="writable-code", what=what)


def _address_space(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.kind == "executable" and not elf.position_independent_executable:
        what = "is always loaded at the same address: it is not a position-independent executable"
        yield Violation(rule="fixed-address", what=what)


def _relro(elf: Elf, _: ElfPolicy) -> Iterator[Violation]:
    protected = any(segment.type == "PT_GNU_RELRO" for segment in elf.segments)
    if not (protected and elf.binds_at_load):
        what = "leaves its table of functions writable: link it with -z relro and -z now"
        yield Violation(rule="no-relro", what=what)


def _unloading(elf: Elf, policy: ElfPolicy) -> Iterator[Violation]:
    if policy.kind == "shared library" and not elf.stays_loaded:
        what = "can be unloaded under threads that run its code: link it with -z nodelete"
        yield Violation(rule="unloadable", what=what)


def _stack_protector(objects: Sequence[Path]) -> Iterator[Violation]:
    """Judge what a file is linked from: in the file, compiler-rt may have answered the wish."""
    if objects and not any(_STACK_CHECK in undefined_symbols(path) for path in objects):
        what = "has no function that checks its stack: compile C with -fstack-protector-strong"
        yield Violation(rule="no-stack-protector", what=what)


Rule = Callable[[Elf, ElfPolicy], Iterator[Violation]]
_OBJECT_RULES: tuple[Rule, ...] = (_machine, _float_abi)
_LINKED_RULES: tuple[Rule, ...] = (
    _versions,
    _unresolved,
    _needed,
    _interpreter,
    _exports,
    _soname,
    _text_relocations,
    _search_paths,
    _memory,
    _address_space,
    _relro,
    _unloading,
    *ANDROID_RULES,
)
_REMEDIES = {
    "glibc-floor": "raise libc.floor in the target's file if the board's glibc is newer",
    "machine": "check the target's arch and triple",
    "float-abi": "compile for the platform's float ABI, kernels included",
    "api-level": "raise libc.api in the target's file if older Android need not be served",
    "soname": "link with -Wl,-soname,libmodel.so",
}


def _blame(violation: Violation, objects: Sequence[Path]) -> Violation:
    if violation.symbol is None:
        return violation
    users = tuple(path.name for path in objects if violation.symbol in undefined_symbols(path))
    what = f"{violation.what} (wanted by {', '.join(users)})" if users else violation.what
    return replace(violation, what=what, objects=users)


def _failure(path: Path, violations: list[Violation]) -> BuildFailed:
    first, others = violations[0], len(violations) - 1
    return BuildFailed(
        first.what + (f" (and {others} more)" if others else ""),
        reason="elf-audit",
        where=path.name,
        remedy=_REMEDIES.get(first.rule),
        details={"file": path.name, "violations": [asdict(v) for v in violations]},
    )


def _newest_glibc(elf: Elf) -> str | None:
    numbers = [n for need in elf.version_needs if (n := _glibc_number(need.version))]
    return _dotted(max(numbers)) if numbers else None


def _glibc_number(version: str) -> tuple[int, ...] | None:
    match = _GLIBC_VERSION.fullmatch(version)
    return tuple(int(part) for part in match[1].split(".")) if match else None


def _dotted(number: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in number)
