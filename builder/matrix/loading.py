"""From the texts of a matrix to targets, and to everything that is wrong with them.

pydantic is imported where a target is checked, not before: ``--help`` does not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from builder.errors import UsageError
from builder.matrix.inheritance import by_name, is_abstract, resolve
from builder.matrix.selection import require
from builder.matrix.tree import MappingNode
from builder.model.target import Target

if TYPE_CHECKING:
    from builder.matrix.schema import TargetFile


def load(texts: Mapping[str, str], name: str) -> Target:
    """Return the target ``name``, having parsed only its file and its ancestors'.

    ``texts`` are YAML texts by file name or path; the later of two files of one name wins. Raises
    ``UsageError``: ``unknown-target``, ``abstract-target``, what ``positions.parse`` and
    ``inheritance.resolve`` raise, or the first thing wrong with the values; where there are more,
    ``details["problems"]`` lists them all.
    """
    checked = _checked(texts, name)
    return checked.to_target(_packed(texts, name, checked))


def validate(texts: Mapping[str, str]) -> tuple[UsageError, ...]:
    """Return everything that is wrong with any file, each thing once."""
    found = {
        (problem.where, problem.reason, problem.what): problem
        for name in sorted(by_name(texts))
        for problem in _problems_of(texts, name)
    }
    return tuple(found.values())


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a target file: the content of ``targets/schema.json``."""
    from builder.matrix import schema

    return schema.json_schema()


def _checked(texts: Mapping[str, str], name: str) -> TargetFile:
    files = by_name(texts)
    require(files, name)
    checked = _check(resolve(files, name), name)
    if isinstance(checked, tuple):
        from builder.matrix.problems import together

        raise together(checked)
    return checked


def _packed(texts: Mapping[str, str], name: str, checked: TargetFile) -> tuple[Target, ...]:
    """Return the targets that ``name`` packs: each for Android, of an architecture of its own."""
    members = tuple(_checked(texts, packed) for packed in checked.packs)
    archs = {member.arch for member in members}
    fit = all(member.libc.family == "bionic" and not member.packs for member in members)
    if len(archs) != len(members) or not fit:
        raise UsageError(
            f"{name} cannot pack {', '.join(checked.packs)}",
            reason="unpackable",
            where=by_name(texts)[name].file,
            remedy="name targets for Android, one an architecture, that pack nothing themselves",
        )
    return tuple(member.to_target() for member in members)


def _problems_of(texts: Mapping[str, str], name: str) -> tuple[UsageError, ...]:
    files = by_name(texts)
    try:
        root = resolve(files, name)
        checked = _check(root, name)
        if not isinstance(checked, tuple):
            _packed(texts, name, checked)
    except UsageError as problem:
        return (problem,)
    found = checked if isinstance(checked, tuple) else ()
    return _of_a_base(found) if is_abstract(root) else found


def _of_a_base(found: tuple[UsageError, ...]) -> tuple[UsageError, ...]:
    from builder.matrix.problems import INCOMPLETE

    return tuple(problem for problem in found if problem.reason not in INCOMPLETE)


def _check(root: MappingNode, name: str) -> TargetFile | tuple[UsageError, ...]:
    from builder.matrix.problems import check
    from builder.matrix.schema import MEANINGS, TargetFile

    return check(TargetFile, root, MEANINGS, context={"stem": name})
