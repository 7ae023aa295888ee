"""Who extends whom: a target file and its ancestors, merged into one tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath

from builder.errors import UsageError
from builder.matrix.positions import parse
from builder.matrix.tree import Entry, MappingNode, Node, ScalarNode, child

OWN_KEYS = ("name", "extends", "abstract")
"""What a file says about itself: never taken from a parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetText:
    """The YAML of one target, and how positions call its file."""

    file: str
    text: str

    def tree(self) -> MappingNode:
        return parse(self.text, self.file)


def by_name(texts: Mapping[str, str]) -> dict[str, TargetText]:
    """Return the target files by target name: the file name without ``.yaml``.

    Keys of ``texts`` are file names or paths; of two files that name one target, the later wins.
    """
    return {
        PurePath(file).stem: TargetText(file=file, text=text)
        for file, text in texts.items()
        if PurePath(file).suffix in (".yaml", ".yml")
    }


def is_abstract(root: MappingNode) -> bool:
    """Return whether the file only serves others to extend."""
    node = child(root, "abstract")
    return isinstance(node, ScalarNode) and node.value is True


def lineage(files: Mapping[str, TargetText], name: str) -> tuple[str, ...]:
    """Return ``name`` and its ancestors, the nearest first; only these are parsed.

    Raises ``UsageError``: ``unknown-parent``, ``extends-cycle``, ``wrong-type``, and what
    ``positions.parse`` raises.
    """
    return tuple(ancestor for ancestor, _ in _ancestry(files, name))


def resolve(files: Mapping[str, TargetText], name: str) -> MappingNode:
    """Return the tree of ``name`` with everything it inherits.

    Mappings merge key by key, everything else replaces. Raises as ``lineage`` does.
    """
    own, *bases = (root for _, root in _ancestry(files, name))
    for base in bases:
        own = merge(_without_own_keys(base), own)
    return own


def merge(base: MappingNode, over: MappingNode) -> MappingNode:
    """Return ``base`` with ``over`` laid on it. Each node keeps the position it was written at."""
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        entries[key] = _merge_entry(entries.get(key), entry)
    return MappingNode(mark=over.mark, entries=entries)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the question that a misspelled ``word`` raises, or None where nothing is close."""
    close = get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def _ancestry(files: Mapping[str, TargetText], name: str) -> tuple[tuple[str, MappingNode], ...]:
    found = {name: files[name].tree()}
    while (extends := _extends(found[name])) is not None:
        name = _parent(extends, list(found), files)
        found[name] = files[name].tree()
    return tuple(found.items())


def _merge_entry(base: Entry | None, over: Entry) -> Entry:
    if base and isinstance(base.node, MappingNode) and isinstance(over.node, MappingNode):
        return Entry(key=over.key, node=merge(base.node, over.node))
    return over


def _without_own_keys(root: MappingNode) -> MappingNode:
    inherited = {key: entry for key, entry in root.entries.items() if key not in OWN_KEYS}
    return MappingNode(mark=root.mark, entries=inherited)


def _extends(root: MappingNode) -> ScalarNode | None:
    node: Node | None = child(root, "extends")
    if node is None or (isinstance(node, ScalarNode) and node.value is None):
        return None
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        raise UsageError(
            "extends must be the name of one target", reason="wrong-type", where=str(node.mark)
        )
    return node


def _parent(extends: ScalarNode, lineage: list[str], files: Mapping[str, TargetText]) -> str:
    parent = extends.text
    if parent not in files:
        raise UsageError(
            f"extends an unknown target {parent!r}",
            reason="unknown-parent",
            where=str(extends.mark),
            why=f"one of: {', '.join(sorted(files))}",
            remedy=did_you_mean(parent, files),
        )
    if parent in lineage:
        raise UsageError(
            f"targets extend each other: {' -> '.join([*lineage, parent])}",
            reason="extends-cycle",
            where=str(extends.mark),
            remedy="remove one extends:",
        )
    return parent
