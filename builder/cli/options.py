"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)


def _target_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from builder.cli.installation import read_matrix
    from builder.matrix import names

    return [name for name in names(read_matrix(())) if name.startswith(incomplete)]


target_option = click.option(
    "-t",
    "--target",
    "targets",
    metavar="NAME",
    multiple=True,
    shell_complete=_target_names,
    help="A target or a glob (jetson-*); may be repeated.",
)

shape_option = click.option(
    "--shape",
    "shapes",
    metavar="NAME=1,3,224,224",
    multiple=True,
    help="The shape of an input that the model leaves open; may be repeated.",
)

dim_option = click.option(
    "--dim",
    "dims",
    metavar="NAME=1",
    multiple=True,
    help="The extent of a dimension that the model leaves open by name; may be repeated.",
)

freeze_option = click.option(
    "--freeze",
    "freezes",
    metavar="NAME=VALUE|FILE.npz",
    multiple=True,
    help="Make an input a constant (sr=16000, x=[1,2]); may be repeated.",
)


def binding_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb all options that fix a model's inputs."""
    return shape_option(dim_option(freeze_option(command)))


inputs_option = click.option(
    "--inputs", metavar="FILE.npz", type=click.Path(path_type=Path), help="Inputs to check with."
)

seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of random inputs [0]."
)

toolchain_option = click.option(
    "--toolchain",
    type=click.Choice(["auto", "docker", "local"]),
    default="auto",
    help="Where to compile; auto is Docker where an engine answers.",
)


def _after_the_projects_own(
    context: click.Context, _: click.Parameter, given: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Return the folders of targets, those that override others last."""
    if context.resilient_parsing:
        return given
    from builder.cli.configuration import target_folders_of
    from builder.cli.environment import read_environment
    from builder.cli.installation import parsed_values

    environment = read_environment()
    parsed = parsed_values(environment.cache_root)
    return (*target_folders_of(Path.cwd(), parsed, environment.trust), *given)


target_folders_option = click.option(
    "--targets",
    "target_folders",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    callback=_after_the_projects_own,
    help="A folder with more targets, beside the project's targets_dir; may be repeated.",
)
