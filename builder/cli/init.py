"""``boardwright init MODEL``: write the ``boardwright.yaml`` that makes later builds short."""

from __future__ import annotations

import os
from pathlib import Path

import click

from builder.cli.configuration import DEFAULT_OUT, checked_name, safe_name
from builder.cli.environment import read_environment
from builder.cli.installation import read_matrix
from builder.cli.options import shape_option, target_option
from builder.effects.digest_memo import DigestMemo
from builder.effects.durable import write_atomically
from builder.effects.model_inputs import ModelInput, model_inputs
from builder.effects.survey import survey_model
from builder.errors import UsageError
from builder.matrix import matching
from builder.model.binding import Binding, Shapes
from builder.model.project import Project
from builder.project import FILENAME, parse_shape, render

_DEFAULT_TARGETS = ("x86_64-linux",)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@target_option
@shape_option
@click.option("--name", help="What bundles are called; default: like the model's file.")
@click.option("--force", is_flag=True, help="Replace a boardwright.yaml that is there.")
def command(
    model: Path, targets: tuple[str, ...], shapes: tuple[str, ...], name: str | None, force: bool
) -> None:
    """Write boardwright.yaml for MODEL in this folder.

    Inputs whose shape the model leaves open are listed for you to fill in, unless --shape does.
    """
    file = Path.cwd() / FILENAME
    if file.exists() and not force:
        raise _already_there(file)
    survey_model(model, DigestMemo(read_environment().cache_root / "memo"))
    inputs = model_inputs(model)
    known = _known_shapes(inputs, tuple(map(parse_shape, shapes)))
    matching(read_matrix(()), targets)  # refuses what is no target before it is written down
    project = Project(
        model=os.path.relpath(model, file.parent),
        name=checked_name(name or safe_name(model)),
        binding=Binding(shapes=known),
        frozen_file=None,
        targets=targets or _DEFAULT_TARGETS,
        out=DEFAULT_OUT,
        inputs=None,
        devices=(),
    )
    still_open = {i.name: i.extents for i in inputs if i.is_open and i.name not in dict(known)}
    write_atomically(file, _text(project, inputs, still_open).encode())
    _report(file, still_open)


def _known_shapes(inputs: tuple[ModelInput, ...], shapes: Shapes) -> Shapes:
    names = [model_input.name for model_input in inputs]
    for name, _ in shapes:
        if name not in names:
            raise UsageError(
                f"the model has no input {name!r}",
                reason="unknown-input",
                where="--shape",
                why=f"one of: {', '.join(names)}",
            )
    return shapes


def _text(
    project: Project, inputs: tuple[ModelInput, ...], still_open: dict[str, tuple[int | str, ...]]
) -> str:
    return render(project, open_shapes=still_open) + _fixed(inputs)


def _fixed(inputs: tuple[ModelInput, ...]) -> str:
    fixed = [f"# {i.name!a}: {list(i.extents)}\n" for i in inputs if i.extents and not i.is_open]
    return "\n# The model itself fixes the shape of:\n" + "".join(fixed) if fixed else ""


def _report(file: Path, still_open: dict[str, tuple[int | str, ...]]) -> None:
    click.echo(f"wrote {file.name}")
    for name, extents in still_open.items():
        click.echo(f"fill in the shape of {name!r}, which the model leaves open: {list(extents)}")
    click.echo("next: boardwright build")


def _already_there(file: Path) -> UsageError:
    return UsageError(
        f"there is a {file.name} already",
        reason="project-exists",
        where=str(file),
        state="it was not touched",
        remedy="edit it, or replace it with --force",
    )
