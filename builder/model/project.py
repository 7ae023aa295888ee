"""What a user keeps beside a model so that ``boardwright build`` needs no other argument."""

from __future__ import annotations

from dataclasses import dataclass

from builder.model.binding import Binding
from builder.model.device import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The whole of a ``boardwright.yaml``.

    ``model``, ``frozen_file``, ``out``, ``inputs`` and ``targets_dir`` (a folder with more targets)
    are paths as written, relative to the file's own folder. ``targets`` are names or globs.
    ``name`` is what bundles are called, None: what the model is.
    """

    model: str
    name: str | None
    binding: Binding
    frozen_file: str | None
    targets: tuple[str, ...]
    out: str
    inputs: str | None
    devices: tuple[Device, ...]
    targets_dir: str | None = None
