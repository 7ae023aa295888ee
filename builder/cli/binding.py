"""What ``--shape``, ``--dim`` and ``--freeze`` say, together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.errors import UsageError
from builder.model.binding import Binding
from builder.project import parse_dim, parse_freeze, parse_shape


def read_binding(
    shapes: Sequence[str], dims: Sequence[str], freezes: Sequence[str]
) -> tuple[Binding, Path | None]:
    """Return the binding and the .npz with more frozen inputs, if one is named.

    Raises ``UsageError``: ``bad-shape``, ``bad-dim``, ``bad-freeze``.
    """
    parsed = [parse_freeze(option) for option in freezes]
    files = [value for value in parsed if isinstance(value, Path)]
    if len(files) > 1:
        raise UsageError(
            f"{len(files)} files with frozen inputs",
            reason="bad-freeze",
            where="--freeze",
            remedy="put all arrays into one .npz",
        )
    binding = Binding(
        shapes=tuple(map(parse_shape, shapes)),
        dims=tuple(map(parse_dim, dims)),
        frozen=tuple(value for value in parsed if not isinstance(value, Path)),
    )
    return binding, files[0] if files else None
