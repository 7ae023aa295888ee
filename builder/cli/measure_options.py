"""How to measure: the options that ``bench`` and ``deploy-remote --bench`` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from builder.bench.validity import BUSY_CORES

SECONDS = 10.0
BLOCKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFlags:
    """How to measure, as click gives it; ``wait_s`` and ``target_folders`` say how to get there."""

    threads: tuple[int, ...] = ()
    cores: str | None = None
    runs: int | None = None
    seconds: float = SECONDS
    warmup: int | None = None
    blocks: int = BLOCKS
    baseline: str | None = None
    fail_on_regression: str | None = None
    governor: str | None = None
    sustained: int = 0
    allow_load: float = BUSY_CORES
    strict: bool = False
    wait_s: int = 0
    target_folders: tuple[Path, ...] = ()


MEASURING = frozenset(field.name for field in fields(BenchFlags)) - {"wait_s", "target_folders"}
"""The names of what ``measure_options`` gives a verb."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "--threads": {
        "multiple": True,
        "type": click.IntRange(1, 1024),
        "help": "threads, one a core; may be repeated [the target's].",
    },
    "--cores": {"metavar": "LIST", "help": "pin to these cores: 0,2,4-7 [the fastest]."},
    "--seconds": {
        "type": click.FloatRange(0, 86400),
        "default": SECONDS,
        "help": f"measure for so long in all [{SECONDS:g}].",
    },
    "--runs": {
        "type": click.IntRange(1, 1_000_000),
        "help": "at least so many runs [the target's].",
    },
    "--warmup": {"type": click.IntRange(0, 1_000_000), "help": "runs first [the target's]."},
    "--blocks": {
        "type": click.IntRange(3, 1000),
        "default": BLOCKS,
        "help": f"processes of the runner [{BLOCKS}].",
    },
    "--baseline": {
        "metavar": "REF",
        "help": "measure in turns with this bundle, release or saved result and compare.",
    },
    "--fail-on-regression": {"metavar": "5%", "help": "exit 11 when slower by more."},
    "--set-governor": {"metavar": "NAME", "help": "hold this frequency governor."},
    "--sustained": {
        "metavar": "MINUTES",
        "type": click.IntRange(0, 480),
        "default": 0,
        "help": "measure minute by minute.",
    },
    "--allow-load": {
        "metavar": "CORES",
        "type": click.FloatRange(0, 1024),
        "default": BUSY_CORES,
        "help": f"cores that other processes may keep busy [{BUSY_CORES}].",
    },
    "--strict": {"is_flag": True, "help": "end at the first block that is invalid."},
}
_NAMES = {"--set-governor": "governor"}


def measure_options(when: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a verb the options that ``BenchFlags`` holds; ``when`` begins what is said of each."""

    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, words in reversed(_OPTIONS.items()):
            said = when + words["help"]
            names = (name, _NAMES[name]) if name in _NAMES else (name,)
            command = click.option(*names, **{**words, "help": said[0].upper() + said[1:]})(command)
        return command

    return give
