"""What ``boardwright tune`` is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import click

from builder.cli.binding import read_binding
from builder.cli.configuration import Settings, Wishes, find_project, read_project, settle
from builder.cli.environment import Environment
from builder.cli.installation import parsed_values
from builder.cli.toolchains import Choice
from builder.model.model_limits import ModelLimits

_UNITS = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """``90s``, ``2m``, ``1h`` or a number: seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if not (written := re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", str(value))):
            self.fail(f"{value!r} is no duration: write 90s, 2m or 1h", param, ctx)
        return float(written[1]) * _UNITS[written[2] or "s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of ``tune``, as click gives them; ``budget`` is in seconds."""

    model: Path | None
    targets: tuple[str, ...]
    device: str | None
    wait_s: int
    accept_new_host_key: bool
    shapes: tuple[str, ...]
    dims: tuple[str, ...]
    freezes: tuple[str, ...]
    budget: float
    again: bool
    out: Path | None
    toolchain: Choice
    target_folders: tuple[Path, ...]
    as_json: bool
    verbose: bool
    limits: ModelLimits


def settings_of(flags: Flags, targets: tuple[str, ...], environment: Environment) -> Settings:
    """Return what is tuned; ``targets`` are names or globs, the project's where there are none."""
    cwd = Path.cwd()
    file = find_project(cwd, environment.trust)
    binding, frozen_file = read_binding(flags.shapes, flags.dims, flags.freezes)
    wishes = Wishes(
        model=flags.model,
        patterns=targets,
        binding=binding,
        frozen_file=frozen_file,
        limits=flags.limits,
    )
    project = read_project(file, parsed_values(environment.cache_root)) if file else None
    return settle(wishes, project, file.parent if file else cwd)
