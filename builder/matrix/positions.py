"""From YAML text to a tree with positions, refusing what a configuration file has no use for.

The parser's events are read one by one, so nesting, aliases and size are refused before anything is
built: a bomb costs no more than the text it is written in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

from builder.errors import UsageError
from builder.matrix.scalars import resolve
from builder.matrix.tree import Entry, MappingNode, Mark, Node, ScalarNode, SequenceNode

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is not on every machine
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")

Events = Iterator[Any]


def decode(raw: bytes, file: str) -> str:
    """Return the text of a configuration file. Raises ``UsageError`` where it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        raise _refusal(
            "this is not UTF-8 text", "yaml-not-text", _mark_of_offset(before, len(before), file)
        ) from None


@lru_cache(maxsize=256)
def parse(text: str, file: str) -> MappingNode:
    """Return the one mapping that ``text`` holds.

    ``file`` is how positions call the text. Raises ``UsageError`` with the position as ``where``
    and one of these reasons: ``yaml-syntax``, ``yaml-not-text``, ``yaml-too-large``,
    ``yaml-too-deep``, ``yaml-duplicate-key``, ``yaml-key``, ``yaml-alias``, ``yaml-tag``,
    ``yaml-merge-key``, ``yaml-many-documents``, ``yaml-empty``, ``yaml-not-mapping``.
    """
    text = text.removeprefix("\ufeff")
    _refuse_unreadable(text, file)
    try:
        root = _document(_events(text), file)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, file) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML's Python scanner lets chr() and int() fail on absurd escapes and versions.
        raise _refusal("this is not YAML", "yaml-syntax", _start(file)) from None
    if not isinstance(root, MappingNode):
        raise _refusal("the file must hold a mapping (key: value)", "yaml-not-mapping", root.mark)
    return root


def _refuse_unreadable(text: str, file: str) -> None:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _refusal("the file is larger than 1 MiB", "yaml-too-large", _start(file))
    if found := _NOT_TEXT.search(text):
        raise _refusal(
            f"the character U+{ord(found[0]):04X} has no place in a text file",
            "yaml-not-text",
            _mark_of_offset(text, found.start(), file),
        )


def _events(text: str) -> Events:
    return (
        event
        for event in yaml.parse(text, Loader=_LOADER)
        if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentEndEvent)
    )


def _document(events: Events, file: str) -> Node:
    opening = next(events)
    if isinstance(opening, yaml.StreamEndEvent):
        raise _refusal("the file is empty", "yaml-empty", _start(file))
    root = _node(next(events), events, file, 1)
    following = next(events)
    if not isinstance(following, yaml.StreamEndEvent):
        raise _refusal(
            "a second document begins here", "yaml-many-documents", _mark(following, file)
        )
    return root


def _node(event: Any, events: Events, file: str, depth: int) -> Node:
    mark = _mark(event, file)
    _refuse_indirection(event, mark)
    if depth > MAX_DEPTH:
        raise _refusal(f"nested deeper than {MAX_DEPTH} levels", "yaml-too-deep", mark)
    if isinstance(event, yaml.MappingStartEvent):
        return MappingNode(mark=mark, entries=_entries(events, file, depth))
    if isinstance(event, yaml.SequenceStartEvent):
        return SequenceNode(mark=mark, items=tuple(_items(events, file, depth)))
    return _scalar(event, mark)


def _refuse_indirection(event: Any, mark: Mark) -> None:
    if event.anchor is not None:
        name = f"*{event.anchor}" if isinstance(event, yaml.AliasEvent) else f"&{event.anchor}"
        raise _refusal(
            f"anchors and aliases are not allowed: {name}",
            "yaml-alias",
            mark,
            "write the value out; a target can share a base with extends:",
        )
    if event.tag is not None:
        raise _refusal(
            f"tags are not allowed: {event.tag!r}",
            "yaml-tag",
            mark,
            'remove the tag; text that looks like a number goes in quotes: "2.27"',
        )


def _scalar(event: Any, mark: Mark) -> ScalarNode:
    text: str = event.value
    if _has_surrogate(text):
        raise _refusal("a \\u escape names half a character", "yaml-not-text", mark)
    is_plain = event.implicit[0]
    return ScalarNode(mark=mark, value=resolve(text) if is_plain else text, text=text)


def _items(events: Events, file: str, depth: int) -> Iterator[Node]:
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        yield _node(event, events, file, depth + 1)


def _entries(events: Events, file: str, depth: int) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        mark = _mark(event, file)
        key = _key(event, mark)
        if key in entries:
            raise _refusal(
                f"duplicate key {key!r}",
                "yaml-duplicate-key",
                mark,
                f"the first one is at {entries[key].key}; remove one",
            )
        entries[key] = Entry(key=mark, node=_node(next(events), events, file, depth + 1))
    return entries


def _key(event: Any, mark: Mark) -> str:
    _refuse_indirection(event, mark)
    if not isinstance(event, yaml.ScalarEvent):
        raise _refusal("a key must be text", "yaml-key", mark)
    node = _scalar(event, mark)
    if node.text == "<<" and event.implicit[0]:
        raise _refusal("merge keys are not allowed", "yaml-merge-key", mark, "use extends: instead")
    if not isinstance(node.value, str):
        raise _refusal(
            f"a key must be text, and {node.text!r} is not",
            "yaml-key",
            mark,
            f'put it in quotes: "{node.text}"',
        )
    return node.value


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _syntax(error: yaml.MarkedYAMLError, file: str) -> UsageError:
    at = error.problem_mark or error.context_mark
    mark = Mark(file=file, line=at.line + 1, column=at.column + 1) if at else _start(file)
    return _refusal(f"this is not YAML: {error.problem or error.context}", "yaml-syntax", mark)


def _refusal(what: str, reason: str, mark: Mark, remedy: str | None = None) -> UsageError:
    return UsageError(what, reason=reason, where=str(mark), remedy=remedy)


def _mark(event: Any, file: str) -> Mark:
    at = event.start_mark
    return Mark(file=file, line=at.line + 1, column=at.column + 1)


def _mark_of_offset(text: str, offset: int, file: str) -> Mark:
    line_start = text.rfind("\n", 0, offset) + 1
    line = text.count("\n", 0, offset) + 1
    return Mark(file=file, line=line, column=offset - line_start + 1)


def _start(file: str) -> Mark:
    return Mark(file=file, line=1, column=1)
