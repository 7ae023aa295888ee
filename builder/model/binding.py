"""What a user fixes of a model's inputs: shapes, symbolic dimensions, whole values."""

from __future__ import annotations

from dataclasses import dataclass

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Extents by input name, for the inputs whose shape the model leaves open."""

Dims = tuple[tuple[str, int], ...]
"""Extents by the name that the model gives a dimension it leaves open."""

Literals = tuple[tuple[str, str], ...]
"""Values by input name as JSON text: a number, true or false, or nested lists of such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Everything that is fixed before a model is planned; a frozen input is no input any more."""

    shapes: Shapes = ()
    dims: Dims = ()
    frozen: Literals = ()

    def over(self, base: Binding) -> Binding:
        """Return both together; where both speak of one name, this one counts."""
        return Binding(
            shapes=tuple({**dict(base.shapes), **dict(self.shapes)}.items()),
            dims=tuple({**dict(base.dims), **dict(self.dims)}.items()),
            frozen=tuple({**dict(base.frozen), **dict(self.frozen)}.items()),
        )


UNBOUND = Binding()
"""The model as it is."""
