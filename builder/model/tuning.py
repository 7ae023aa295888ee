"""What was measured of kernels' tiles, and which tiles a build takes for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from builder.model.target import Cpu, CpuVariant

Tile = tuple[int, ...]
"""Extents that a schedule takes at once, in the order its cost model names them."""

_FOUND = "tuned "


def cpu_label(cpu: Cpu | CpuVariant) -> str:
    """Return what a CPU is called where something is kept about the code for it."""
    return cpu.mcpu + "".join(cpu.mattr)


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedTile:
    """The tile that a kernel takes on a CPU instead of the first that the cost model offers.

    ``kernel`` is ``compiler.tuning.kernel_key``, ``cpu`` is ``cpu_label``.
    """

    kernel: str
    cpu: str
    tile: Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A kernel with the tiles that are worth measuring, the usual one first.

    ``calls`` are the names under which the model's plan calls it, and its profile tells times.
    """

    kernel: str
    description: str
    tiles: tuple[Tile, ...]
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kernel on one CPU: ``tile`` is the fastest, ``usual`` what the cost model takes.

    They are the same where no other tile was faster by a clear margin. Times are medians of one
    thread in microseconds; ``description`` is for people.
    """

    kernel: str
    cpu: str
    description: str
    tile: Tile
    usual: Tile
    tile_us: float
    usual_us: float

    def line(self, left: int) -> str:
        """Return the log line that tells it from the payload; ``left`` kernels are yet to come."""
        return f"{_FOUND}{json.dumps({'left': left, **asdict(self)})}"


def heard(line: str) -> tuple[int, Mapping[str, Any]] | None:
    """Return how many kernels are left, and the fields of a finding, which nobody has checked.

    None for a line that no ``Finding.line`` wrote.
    """
    if not line.startswith(_FOUND):
        return None
    try:
        fields: Any = json.loads(line.removeprefix(_FOUND))
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not isinstance(left := fields.pop("left", None), int):
        return None
    return left, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRecord(Finding):
    """A finding that is kept: with the compiler that wrote the code and the machine it ran on."""

    compiler: str
    machine: str
