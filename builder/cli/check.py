"""``boardwright check``: whether a model can be built, what it needs, and else why not."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from builder.cli.binding import read_binding
from builder.cli.configuration import Settings, Wishes, find_project, read_project, settle
from builder.cli.environment import Environment, read_environment
from builder.cli.installation import parsed_values, read_matrix
from builder.cli.limit_options import limit_options
from builder.cli.options import (
    binding_options,
    inputs_option,
    json_option,
    seed_option,
    target_folders_option,
    target_option,
    toolchain_option,
)
from builder.cli.steps import Desk
from builder.cli.toolchains import Choice
from builder.effects.parsed import ParsedValues
from builder.effects.trust import Trust
from builder.errors import ModelRefused, UsageError
from builder.matrix import select
from builder.model.inspection import Inspection
from builder.model.model_limits import ModelLimits
from builder.model.target import Target
from builder.planning import plan_inspection
from builder.report import check_report
from builder.report.json_report import write_json

_DEFAULT_TARGETS = ("x86_64-linux",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of ``check``, as click gives them."""

    model: Path | None
    targets: tuple[str, ...]
    shapes: tuple[str, ...]
    dims: tuple[str, ...]
    freezes: tuple[str, ...]
    inputs: Path | None
    seed: int
    toolchain: Choice
    target_folders: tuple[Path, ...]
    as_json: bool
    verbose: bool
    limits: ModelLimits


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@target_option
@binding_options
@inputs_option
@seed_option
@toolchain_option
@target_folders_option
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show what the tools say.")
@limit_options
def command(**options: Any) -> int:
    """Say whether MODEL can be built and what it needs, or name every node that cannot.

    Nothing is compiled. What is not given is taken from boardwright.yaml in this folder or above.
    The exit code is 0, or 3 where the model is refused.
    """
    return check(Flags(**options), read_environment())


def check(flags: Flags, environment: Environment) -> int:
    """Inspect the model and print the report; return the exit code."""
    parsed = parsed_values(environment.cache_root)
    settings = _settings(flags, parsed, environment.trust)
    targets = select(read_matrix(flags.target_folders), settings.patterns)
    try:
        inspection = _inspect(flags, settings, targets, environment)
    except ModelRefused as failure:
        _print_refusal(settings, failure, as_json=flags.as_json)
        return failure.exit_code
    _print(settings, inspection, targets, as_json=flags.as_json)
    return 0


def _settings(flags: Flags, parsed: ParsedValues, trust: Trust) -> Settings:
    cwd = Path.cwd()
    file = find_project(cwd, trust)
    binding, frozen_file = read_binding(flags.shapes, flags.dims, flags.freezes)
    wishes = Wishes(
        model=flags.model,
        patterns=flags.targets,
        binding=binding,
        frozen_file=frozen_file,
        inputs=flags.inputs,
        limits=flags.limits,
    )
    project = read_project(file, parsed) if file else None
    root = file.parent if file else cwd
    return settle(wishes, project, root, otherwise=_DEFAULT_TARGETS)


def _inspect(
    flags: Flags, settings: Settings, targets: tuple[Target, ...], environment: Environment
) -> Inspection:
    artifact = _inspected(flags, settings, targets, environment)
    text = (artifact / "inspection.json").read_text(encoding="utf-8")
    return Inspection.from_json(json.loads(text))


def _inspected(
    flags: Flags, settings: Settings, targets: tuple[Target, ...], environment: Environment
) -> Path:
    """Return the inspection, made here where the choice is ours: no image has to be built for it.

    Who asks for Docker wants a stranger's model to be read in a container and nowhere else.
    """
    chosen = Desk.of(flags.toolchain, targets, environment, seed=flags.seed)
    if flags.toolchain == "auto":
        if found := chosen.found(settings, plan_inspection):
            return found
        with suppress(UsageError):  # This environment may not be fit for it.
            desk = Desk.of("local", targets, environment, seed=flags.seed)
            return desk.make(settings, plan_inspection, verbose=flags.verbose)
    return chosen.make(settings, plan_inspection, verbose=flags.verbose)


def _print(
    settings: Settings, inspection: Inspection, targets: Sequence[Target], *, as_json: bool
) -> None:
    memories = [check_report.memory(inspection, target) for target in targets]
    if as_json:
        write_json(sys.stdout, check_report.ok_document(settings.name, inspection, memories))
    else:
        click.echo("\n".join(check_report.ok_lines(settings.name, inspection, memories)))


def _print_refusal(settings: Settings, failure: ModelRefused, *, as_json: bool) -> None:
    if as_json:
        write_json(sys.stdout, check_report.refused_document(settings.name, failure))
    else:
        click.echo("\n".join(check_report.refused_lines(settings.name, failure)))
