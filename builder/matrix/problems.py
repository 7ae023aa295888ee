"""From pydantic's complaints to ours: a position in the file that wrote it, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, assert_never, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from builder.errors import UsageError
from builder.matrix.inheritance import did_you_mean
from builder.matrix.tree import (
    MappingNode,
    Mark,
    Node,
    Path,
    ScalarNode,
    SequenceNode,
    find,
    key_mark,
    label,
    plain,
    written,
)

Checked = TypeVar("Checked", bound=BaseModel)

INCOMPLETE = frozenset({"missing-key", "missing-floor", "missing-emulator"})
"""Reasons that only say that something is not there yet: no fault in an abstract target."""

SHOWN = 60
"""Characters of a wrong value that a message repeats."""

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_ALSO_CALLED = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7", "armv8": "aarch64"}
_BOUNDS = {
    "greater_than_equal": ("must be at least", "ge"),
    "less_than_equal": ("must be at most", "le"),
    "too_short": ("has too few items; the least is", "min_length"),
    "too_long": ("has too many items; the most is", "max_length"),
}


def check(
    schema: type[Checked],
    root: MappingNode,
    meanings: Mapping[str, str],
    context: Mapping[str, Any] | None = None,
) -> Checked | tuple[UsageError, ...]:
    """Return the document as ``schema`` has it, or everything that is wrong with it.

    ``meanings`` says in words what each pattern of ``schema`` asks for; ``context`` is for the
    schema's own validators. Problems of the root's own file come first, from the top down.
    """
    try:
        return schema.model_validate(plain(root), context=context)
    except ValidationError as error:
        complaints = [
            _Complaint(details=details, root=root, schema=schema, meanings=meanings)
            for details in error.errors(include_url=False)
        ]
        return tuple(complaint.failure() for complaint in sorted(complaints, key=_Complaint.order))


def together(problems: Sequence[UsageError]) -> UsageError:
    """Return the first problem; where they are several, ``details["problems"]`` lists them all."""
    first = problems[0]
    if len(problems) == 1:
        return first
    return first.with_details(problems=[_listed(problem) for problem in problems])


def _listed(problem: UsageError) -> dict[str, str | None]:
    return {
        "where": problem.where,
        "reason": problem.reason,
        "what": problem.what,
        "why": problem.why,
        "remedy": problem.remedy,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Complaint:
    """One of pydantic's errors, beside the document and the schema it is about."""

    details: ErrorDetails
    root: MappingNode
    schema: type[BaseModel]
    meanings: Mapping[str, str]

    @property
    def path(self) -> Path:
        return self.details["loc"]

    @property
    def context(self) -> Mapping[str, Any]:
        return self.details.get("ctx", {})

    def mark(self) -> Mark:
        """Return the position of the offending node, or of what should have held it."""
        node = find(self.root, self.path)
        if node is None:
            return _own_mark(self.root, written(self.root, self.path))
        if self.details["type"] == "extra_forbidden":
            return key_mark(self.root, self.path)
        return node.mark

    def order(self) -> tuple[bool, str, int, int]:
        mark = self.mark()
        return mark.file != self.root.mark.file, mark.file, mark.line, mark.column

    def failure(self) -> UsageError:
        kind = self.details["type"]
        if kind in _KINDS:
            return self._wrong_type(_KINDS[kind])
        if kind in _BOUNDS:
            return self._out_of_bounds(*_BOUNDS[kind])
        match kind:
            case "extra_forbidden":
                return self._unknown_key()
            case "missing":
                return self._error("missing-key", f"{label(self.path)} is missing")
            case "literal_error":
                return self._unknown_value()
            case "string_pattern_mismatch":
                return self._mismatch()
        return self._error(kind, self.details["msg"])

    def _unknown_key(self) -> UsageError:
        *parents, key = self.path
        known = sorted(_section_at(self.schema, tuple(parents)).model_fields)
        inside = f" in {label(tuple(parents))}" if parents else ""
        return self._error(
            "unknown-key",
            f"unknown key {key!r}{inside}",
            why=_one_of(known),
            remedy=did_you_mean(str(key), known),
        )

    def _unknown_value(self) -> UsageError:
        allowed = sorted(re.findall(r"'([^']*)'", self.context["expected"]))
        return self._error(
            "unknown-value",
            f"unknown {label(self.path[-1:])} {self._shown()}",
            why=_one_of(allowed),
            remedy=_instead(str(self.details["input"]), allowed),
        )

    def _wrong_type(self, wanted: str) -> UsageError:
        return self._error(
            "wrong-type",
            f"{label(self.path)} must be {wanted}, not {self._shown()}",
            remedy=_quoting(find(self.root, self.path)) if wanted == "text" else None,
        )

    def _out_of_bounds(self, phrase: str, bound: str) -> UsageError:
        what = f"{label(self.path)} {phrase} {self.context[bound]}"
        node = find(self.root, self.path)
        return self._error(
            "bad-value", f"{what}, not {_shown(node)}" if isinstance(node, ScalarNode) else what
        )

    def _mismatch(self) -> UsageError:
        return self._error(
            "bad-value",
            f"{label(self.path)} cannot be {self._shown()}",
            why=f"expected {self.meanings[self.context['pattern']]}",
        )

    def _shown(self) -> str:
        return _shown(find(self.root, self.path))

    def _error(
        self, reason: str, what: str, why: str | None = None, remedy: str | None = None
    ) -> UsageError:
        return UsageError(what, reason=reason, where=str(self.mark()), why=why, remedy=remedy)


def _instead(value: str, allowed: Sequence[str]) -> str | None:
    """Return what to write in place of a value that is none of ``allowed``."""
    if re.match(r"armv[2-6]", value):
        return "cores older than armv7 have no NEON and are not supported"
    if value in _ALSO_CALLED:
        return f"write {_ALSO_CALLED[value]}"
    # Another number is another thing, and no misspelling: armv8, aarch32, x86_32.
    same = [word for word in allowed if _letters(word) == _letters(value)]
    return None if same else did_you_mean(value, allowed)


def _letters(word: str) -> str:
    return re.sub(r"\d+", "#", word)


def _own_mark(root: MappingNode, path: Path) -> Mark:
    # What is missing is missed by the file that was asked for, whoever wrote the rest of a mapping.
    while path and key_mark(root, path).file != root.mark.file:
        path = path[:-1]
    return key_mark(root, path)


def _section_at(schema: type[BaseModel], path: Path) -> type[BaseModel]:
    for step in path:
        if isinstance(step, str):
            section = _section_in(schema.model_fields[step].annotation)
            assert section is not None, f"{step} has no keys of its own"
            schema = section
    return schema


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_section_in(argument) for argument in get_args(annotation))
    return next((section for section in inner if section), None)


def _quoting(node: Node | None) -> str | None:
    if isinstance(node, ScalarNode) and node.value is not None:
        return f'put it in quotes: "{_short(node.text)}"'
    return None


def _one_of(words: Iterable[str]) -> str:
    return f"one of: {', '.join(words)}"


def _shown(node: Node | None) -> str:
    match node:
        case ScalarNode(value=None) | None:
            return "nothing"
        case ScalarNode(value=str()):
            return repr(_short(node.text))
        case ScalarNode():
            return _short(node.text)
        case SequenceNode():
            return "a list"
        case MappingNode():
            return "a mapping"
    assert_never(node)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
