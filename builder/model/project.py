"""What a user keeps beside a model so that ``boardwright build`` needs no other argument."""

from __future__ import annotations

from dataclasses import dataclass

from builder.model.device import Device

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Extents by input name, for the inputs whose shape the model leaves open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The whole of a ``boardwright.yaml``.

    ``model``, ``out`` and ``inputs`` are paths as written, relative to the file's own folder.
    ``targets`` are names or globs. ``name`` is what bundles are called, None: what the model is.
    """

    model: str
    name: str | None
    shapes: Shapes
    targets: tuple[str, ...]
    out: str
    inputs: str | None
    devices: tuple[Device, ...]
