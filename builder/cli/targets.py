"""``boardwright targets``: the boards that can be built for."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from builder.cli.failure import say
from builder.cli.installation import read_matrix
from builder.cli.options import json_option, target_folders_option
from builder.errors import UsageError
from builder.matrix import json_schema, load, names, validate
from builder.model.target import Target
from builder.report.json_report import write_json
from builder.report.summary import aligned


@click.group()
def command() -> None:
    """List, show and check targets."""


@command.command("list")
@target_folders_option
@json_option
def list_targets(target_folders: tuple[Path, ...], as_json: bool) -> None:
    """List every target with its architecture, C library and description."""
    texts = read_matrix(target_folders)
    targets = [load(texts, name) for name in names(texts)]
    if as_json:
        listed = [dataclasses.asdict(target) for target in targets]
        write_json(sys.stdout, {"status": "ok", "targets": listed})
    else:
        click.echo("\n".join(aligned([_row(target) for target in targets])))


@command.command()
@click.argument("name")
@target_folders_option
@json_option
def show(name: str, target_folders: tuple[Path, ...], as_json: bool) -> None:
    """Show all values of one target, inherited ones too."""
    target = dataclasses.asdict(load(read_matrix(target_folders), name))
    if as_json:
        write_json(sys.stdout, {"status": "ok", "target": target})
        return
    import yaml

    click.echo(yaml.safe_dump(_plain(target), sort_keys=False).rstrip())


@command.command("validate")
@target_folders_option
@json_option
def validate_targets(target_folders: tuple[Path, ...], as_json: bool) -> int:
    """Check every target file, and name everything that is wrong with position."""
    texts = read_matrix(target_folders)
    problems = validate(texts)
    if as_json:
        write_json(sys.stdout, _verdict(problems))
    else:
        for problem in problems:
            say(problem)
        if not problems:
            click.echo(f"{len(names(texts))} targets are fine")
    return UsageError.exit_code if problems else 0


@command.command()
def schema() -> None:
    """Print the JSON Schema of a target file, for editors."""
    write_json(sys.stdout, json_schema())


def _row(target: Target) -> tuple[str, ...]:
    libc = target.platform.libc
    return (
        target.name,
        target.platform.arch,
        f"{libc.family} {libc.floor or libc.api or ''}".rstrip(),
        target.description,
    )


def _verdict(problems: tuple[UsageError, ...]) -> dict[str, object]:
    return {
        "status": "failed" if problems else "ok",
        "problems": [problem.to_json() for problem in problems],
        "error": problems[0].to_json() if problems else None,
    }


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
