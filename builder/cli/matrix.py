"""``boardwright matrix``: the jobs that a project asks of CI, and the files that run them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from builder import __version__
from builder.cli.configuration import Settings, Wishes, find_project, read_project, settle
from builder.cli.environment import Environment, read_environment
from builder.cli.installation import installed_url, parsed_values, read_matrix
from builder.cli.options import json_option, target_folders_option, target_option
from builder.cli.records import FOLDER as TUNING
from builder.effects.digest_memo import DigestMemo
from builder.effects.git import changed_since, work_tree
from builder.effects.survey import survey_model
from builder.errors import UsageError
from builder.jobs.changes import affected
from builder.jobs.matrix import JobMatrix, job_matrix, tagged
from builder.matrix import files_of, select
from builder.model.project import Project
from builder.model.target import Target
from builder.project import FILENAME
from builder.report.json_report import write_json
from builder.report.wording import safe

Format = Literal["json", "github", "gitlab"]

_COMPILE_RUNNER = {"github": "ubuntu-24.04", "gitlab": "python:3.11"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of ``matrix``, as click gives them."""

    output_format: Format
    only_changed: str | None
    targets: tuple[str, ...]
    tags: tuple[str, ...]
    watched: tuple[Path, ...]
    target_folders: tuple[Path, ...]
    compile_runner: str | None
    hardware_runner: str
    requirement: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The project, the file it was read from, and the texts of the targets it may name."""

    file: Path
    project: Project
    texts: dict[str, str]


@click.command()
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["json", "github", "gitlab"]),
    default="json",
    help="The jobs as data, a reusable GitHub workflow, or a GitLab child pipeline [json].",
)
@json_option
@click.option(
    "--only-changed",
    metavar="REF",
    help="Leave out targets whose files have not changed since this git reference.",
)
@target_option
@click.option("--tag", "tags", multiple=True, help="Only boards that bear it; repeatable.")
@click.option(
    "--watch",
    "watched",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file or folder whose change changes every target; may be repeated.",
)
@target_folders_option
@click.option(
    "--compile-runner",
    metavar="LABEL|IMAGE",
    help="Where compile jobs run: a GitHub label or a GitLab image [ubuntu-24.04, python:3.11].",
)
@click.option(
    "--hardware-runner",
    metavar="LABEL",
    default="self-hosted",
    help="The label or tag of runners that reach the boards [self-hosted].",
)
@click.option(
    "--requirement",
    metavar="URL|PATH|SPECIFIER",
    help="What jobs install with pip: a wheel's URL, or a checkout [what this was installed from].",
)
def command(**options: Any) -> int:
    """Print the jobs of this project for CI.

    One compile job a target, which runs anywhere, and one hardware job a board, which runs where
    the board is within reach and waits for its lock.
    """
    if options.pop("as_json") and options["output_format"] != "json":
        raise UsageError(
            "--json asks for another format than --format",
            reason="usage",
            remedy="leave out one of the two",
        )
    return show(Flags(**options), read_environment())


def show(flags: Flags, environment: Environment) -> int:
    """Print the job matrix in the format asked for; return the exit code."""
    place = _place(flags, environment)
    root = place.file.parent
    devices = tagged(place.project.devices, flags.tags)
    settings = settle(
        Wishes(patterns=flags.targets),
        place.project,
        root,
        otherwise=tuple(device.target for device in devices),
    )
    targets = select(place.texts, _patterns(flags, settings, [d.target for d in devices]))
    if flags.only_changed is not None:
        targets = _changed(flags.only_changed, targets, settings, place, flags, environment)
    _warn_of_what_jobs_lack(settings, root)
    matrix = job_matrix(settings.name, targets, devices)
    if flags.output_format == "json":
        write_json(sys.stdout, matrix.to_json())
    else:
        click.echo(_rendered(flags.output_format, matrix, flags, root), nl=False)
    return 0


def _place(flags: Flags, environment: Environment) -> Place:
    file = find_project(Path.cwd(), environment.trust)
    if file is None:
        raise UsageError(
            f"there is no {FILENAME} in this folder or above",
            reason="no-project",
            remedy="run: boardwright init MODEL.onnx",
        )
    project = read_project(file, parsed_values(environment.cache_root))
    return Place(file=file.resolve(), project=project, texts=read_matrix(flags.target_folders))


def _patterns(flags: Flags, settings: Settings, of_devices: Sequence[str]) -> tuple[str, ...]:
    # A board's own target needs no second mention under targets.
    return settings.patterns if flags.targets else (*settings.patterns, *of_devices)


def _changed(
    reference: str,
    targets: Sequence[Target],
    settings: Settings,
    place: Place,
    flags: Flags,
    environment: Environment,
) -> tuple[Target, ...]:
    own = {
        target.name: [Path(file).resolve() for file in files_of(place.texts, target.name)]
        for target in targets
    }
    watched = (place.file.parent / TUNING, *map(Path.resolve, flags.watched))
    shared = (place.file, *_sources(settings, environment), *watched)
    changed = changed_since(place.file.parent, reference)
    names = affected(changed, shared=shared, own=own)
    return tuple(target for target in targets if target.name in names)


def _sources(settings: Settings, environment: Environment) -> tuple[Path, ...]:
    model = survey_model(settings.model, DigestMemo(environment.cache_root / "memo"))
    others = (settings.inputs, settings.frozen_file)
    return (
        settings.model.absolute(),  # a link to a model may itself be what changed
        *(model.root / file.path for file in model.files),
        *(path.resolve() for path in others if path),
    )


def _rendered(
    service: Literal["github", "gitlab"], matrix: JobMatrix, flags: Flags, root: Path
) -> str:
    from builder.jobs.workflows import Runners, Selection, render  # jinja: 40 ms

    runners = Runners(
        compile=flags.compile_runner or _COMPILE_RUNNER[service],
        hardware=flags.hardware_runner,
        requirement=flags.requirement or _installed_from(),
    )
    selection = Selection(
        patterns=flags.targets,
        tags=flags.tags,
        watched=_relative(flags.watched, root),
        target_folders=_relative(flags.target_folders, root),
    )
    folder = os.path.relpath(root, work_tree(root) or root)
    return render(service, matrix, runners, selection, folder=folder)


def _warn_of_what_jobs_lack(settings: Settings, root: Path) -> None:
    repository = (work_tree(root) or root).resolve()
    for file in (settings.model, settings.inputs, settings.frozen_file):
        if file is not None and not file.resolve().is_relative_to(repository):
            _warn(f"{file} is outside of {repository}, so no job will find it")


def _installed_from() -> str:
    """Return what pip can install this very program from, as far as that can be told."""
    if url := installed_url("boardwright"):
        return f"boardwright @ {url}"
    _warn(
        "no package index is known to have boardwright: "
        "name a wheel's URL or a checkout in the repository with --requirement"
    )
    return f"boardwright=={__version__}"


def _warn(what: str) -> None:
    click.echo(f"warning: {safe(what)}", err=True)


def _relative(paths: Sequence[Path], root: Path) -> tuple[str, ...]:
    """Return paths as they read in the project's folder, where jobs run."""
    return tuple(os.path.relpath(path.resolve(), root) for path in paths)
