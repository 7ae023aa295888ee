"""Names for values that a rewrite adds to a graph as it is in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

from builder.compiler.node_names import subgraphs


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNames:
    """Gives names that nothing in a model has: an inner graph sees those of the outer ones."""

    taken: set[str]

    @classmethod
    def of(cls, graph: onnx.GraphProto) -> NewNames:
        """Return the names that are free in ``graph``, an outermost one."""
        return cls(taken=set(_names(graph)))

    def fresh(self, stem: str) -> str:
        """Return ``stem``, numbered where it is taken."""
        name, number = stem, 1
        while name in self.taken:
            number += 1
            name = f"{stem}.{number}"
        self.taken.add(name)
        return name


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for listed in (graph.input, graph.output, graph.initializer):
        yield from (entry.name for entry in listed)
    for node in graph.node:
        yield from (*node.input, *node.output)
        for _, inner in subgraphs(node):
            yield from _names(inner)
