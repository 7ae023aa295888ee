"""A YAML document in which everything remembers where it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

Path = tuple[str | int, ...]
"""From the root down: a key of a mapping, an index of a sequence, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A position in a file. ``line`` and ``column`` count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """A value without parts. ``text`` is what was written, before it became ``value``."""

    mark: Mark
    value: str | int | float | bool | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceNode:
    """A list."""

    mark: Mark
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingNode:
    """A mapping whose keys are text, each once, in the order they were written."""

    mark: Mark
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a key maps to, and where the key stands."""

    key: Mark
    node: Node


Node = ScalarNode | SequenceNode | MappingNode


def plain(node: Node) -> Any:
    """Return the node as dicts, lists and scalars, without positions."""
    match node:
        case ScalarNode():
            return node.value
        case SequenceNode():
            return [plain(item) for item in node.items]
        case MappingNode():
            return {key: plain(entry.node) for key, entry in node.entries.items()}
    assert_never(node)


def child(node: Node, step: str | int) -> Node | None:
    """Return the part of ``node`` that ``step`` leads to, or None where there is none."""
    match node, step:
        case MappingNode(), str():
            entry = node.entries.get(step)
            return entry.node if entry else None
        case SequenceNode(), int():
            return node.items[step] if 0 <= step < len(node.items) else None
    return None


def find(root: Node, path: Path) -> Node | None:
    """Return the node at ``path``, or None where the document does not go so far."""
    node: Node | None = root
    for step in path:
        node = child(node, step) if node is not None else None
    return node


def key_mark(root: Node, path: Path) -> Mark:
    """Return where the key that ends ``path`` stands; for an item, or the root, where it begins."""
    assert path == () or find(root, path[:-1]) is not None, "the path leaves the document"
    parent = find(root, path[:-1])
    if path and isinstance(parent, MappingNode) and isinstance(path[-1], str):
        return parent.entries[path[-1]].key
    node = find(root, path)
    assert node is not None
    return node.mark


def written(root: Node, path: Path) -> Path:
    """Return the longest beginning of ``path`` that the document has."""
    end = len(path)
    while find(root, path[:end]) is None:
        end -= 1
    return path[:end]


def label(path: Path) -> str:
    """Spell ``path`` for people: ``cpu.mattr[0]``; keys that a terminal might obey are escaped."""
    return "".join(map(_spelled, path)).removeprefix(".")


def _spelled(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isprintable() else f".{step!r}"
