"""Which targets there are, and which a user means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from builder.errors import UsageError
from builder.matrix.inheritance import TargetText, by_name, did_you_mean, is_abstract
from builder.matrix.native import NATIVE


def names(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of all targets that can be built for, sorted.

    A file that cannot be read counts as one: using it then says what is wrong with it.
    """
    return _concrete(by_name(texts))


def matching(texts: Mapping[str, str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the names that ``patterns`` mean, each once, in the order of the patterns.

    A pattern is a name, or a glob (``raspberry-pi-*``). Raises ``UsageError``: ``unknown-target``
    where one means nothing, ``abstract-target`` where one names a base, ``not-native`` where it
    names this machine and that is none to build for.
    """
    files = by_name(texts)
    meant = (name for pattern in patterns for name in _matches(files, pattern))
    return tuple(dict.fromkeys(meant))


def require(files: Mapping[str, TargetText], name: str) -> None:
    """Refuse a ``name`` that there is no target of, or only a base."""
    if name == NATIVE and name not in files:
        raise _not_native()
    if name not in files:
        raise _unknown(files, name)
    if _is_base(files[name]):
        raise UsageError(
            f"{name!r} is a base for other targets and cannot be built for",
            reason="abstract-target",
            where=files[name].file,
            why=_known(files),
        )


def _matches(files: Mapping[str, TargetText], pattern: str) -> Iterator[str]:
    if not any(character in pattern for character in "*?["):
        require(files, pattern)
        yield pattern
        return
    fixed = (name for name in _concrete(files) if name != NATIVE)
    found = [name for name in fixed if fnmatchcase(name, pattern)]
    if not found:
        raise _unknown(files, pattern)
    yield from found


def _concrete(files: Mapping[str, TargetText]) -> tuple[str, ...]:
    return tuple(sorted(name for name, file in files.items() if not _is_base(file)))


def _is_base(file: TargetText) -> bool:
    try:
        return is_abstract(file.tree())
    except UsageError:
        return False


def _unknown(files: Mapping[str, TargetText], name: str) -> UsageError:
    known = _concrete(files)
    return UsageError(
        f"unknown target {name!r}",
        reason="unknown-target",
        why=_known(files),
        remedy=did_you_mean(name, known),
        details={"targets": list(known)},
    )


def _not_native() -> UsageError:
    return UsageError(
        f"this machine cannot be {NATIVE}",
        reason="not-native",
        why="it is no x86-64 CPU with SSE4.2",
        remedy="name the target that it is; see: boardwright targets list",
    )


def _known(files: Mapping[str, TargetText]) -> str:
    return f"one of: {', '.join(_concrete(files))}"
