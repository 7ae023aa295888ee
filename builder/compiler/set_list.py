"""The sets of inputs that a prepared model has to be verified with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LIST = "sets.json"
_RANDOM = "seed-"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSet:
    """A set as ``sets.json`` lists it; ``dropped`` is why it is none, ``folder`` where it lies."""

    name: str
    folder: str
    dropped: str | None = None

    @property
    def spare(self) -> bool:
        """Whether it is of another seed, wanted only where the first set proves too little."""
        return self.name.startswith(_RANDOM)


def spare_name(seed: int) -> str:
    """Return what the set of another seed is called."""
    return f"{_RANDOM}{seed}"


def list_sets(prepared: Path, sets: Sequence[CheckSet]) -> None:
    """Write which sets there are."""
    text = json.dumps([dataclasses.asdict(entry) for entry in sets], indent=1) + "\n"
    (prepared / _LIST).write_text(text, encoding="utf-8")


def read_sets(prepared: Path) -> tuple[CheckSet, ...]:
    """Return the sets of a prepared model, the bundle's own first."""
    listed = json.loads((prepared / _LIST).read_text(encoding="utf-8"))
    return tuple(CheckSet(**entry) for entry in listed)


def set_folders(prepared: Path) -> tuple[Path, ...]:
    """Return the folders of the sets that there are, the bundle's own first."""
    return tuple(prepared / each.folder for each in read_sets(prepared) if each.dropped is None)
