"""What a conversion is given: one ONNX node with its inputs as Relax expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from tvm import relax

from builder.compiler import tensors

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An ONNX node about to become Relax; an input that is left out is None."""

    operator: str
    builder: relax.BlockBuilder
    inputs: Sequence[relax.Expr | None]
    attributes: Mapping[str, Any]
    opset: int

    def input(self, position: int) -> relax.Expr | None:
        """Return an input, None where the node has fewer."""
        return self.inputs[position] if position < len(self.inputs) else None

    def required(self, position: int) -> relax.Expr:
        """Return an input that ONNX says every such node has."""
        value = self.input(position)
        assert value is not None
        return value

    def value(self, position: int) -> Array | None:
        """Return a constant input's value, None for other inputs."""
        expression = self.input(position)
        return None if expression is None else tensors.value(expression)

    def shape(self, position: int) -> tuple[int, ...]:
        """Return an input's extents."""
        return extents(self.required(position))

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute as a Python value; strings are decoded."""
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else found

    def call(self, compute: Callable[..., Any], *operands: Any, name: str) -> relax.Expr:
        """Return a call of the kernel that ``compute`` describes in TE."""
        return self.builder.call_te(compute, *operands, primfunc_name_hint=name)


Converter = Callable[[Node], relax.Expr | None]
"""Returns the node's value (a Tuple for several), or None to leave it to TVM's importer."""


def extents(expression: relax.Expr) -> tuple[int, ...]:
    """Return the static shape of an expression."""
    return tuple(int(extent) for extent in expression.ty.shape)


def dtype_of(expression: relax.Expr) -> str:
    """Return the element type of an expression."""
    return str(expression.ty.dtype)
