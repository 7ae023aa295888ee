"""``boardwright doctor``: what is installed, what is missing, the one command that mends it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from builder.cli.checkup import Check, Facts, examine, mending_command, to_json
from builder.cli.environment import Environment, unjudged_environment
from builder.cli.installation import installed, locked, pinned, read_matrix
from builder.cli.options import json_option
from builder.cli.toolchains import images_of
from builder.effects.docker_endpoint import engine_answers
from builder.effects.jdk import javac_version
from builder.effects.machine import survey_machine
from builder.effects.payload_imports import try_imports
from builder.errors import BoardwrightError
from builder.matrix import load, names
from builder.model.target import Emulator
from builder.report.json_report import write_json
from builder.report.summary import aligned

_MARKS = {"ok": "ok", "absent": "--", "missing": "MISSING"}


@click.command()
@json_option
def command(as_json: bool) -> int:
    """Say what is installed, what is missing and what mends it.

    Exit code 2 when something is missing that every build needs.
    """
    checks = examine(_facts(unjudged_environment(os.environ)))
    if as_json:
        write_json(sys.stdout, to_json(checks))
    else:
        _print(checks)
    return 2 if any(check.state == "missing" for check in checks) else 0


def _print(checks: tuple[Check, ...]) -> None:
    rows = [(_MARKS[check.state], check.name, check.found) for check in checks]
    for check, line in zip(checks, aligned(rows), strict=True):
        hint = f"  ({check.hint})" if check.hint and check.state != "ok" else ""
        click.echo(line + hint)
    if command_line := mending_command(checks):
        click.echo(f"\nto mend all of it: {command_line}")


def _facts(environment: Environment) -> Facts:
    emulators = _emulators()
    return Facts(
        python=sys.version_info[:2],
        pins=pinned(),
        locked=locked(),
        installed=installed(locked()),
        imports=try_imports(sys.executable, sorted(installed(pinned())), environment.variables),
        docker=engine_answers(environment.variables),
        no_image=_why_no_image(environment),
        machine=survey_machine(emulators, search_path=environment.search_path),
        emulators=emulators,
        javac=javac_version(environment.search_path),
        adb=shutil.which("adb", path=environment.search_path) is not None,
        cache_root=str(environment.cache_root),
        cache_problem=_problem(environment),
        free_bytes=shutil.disk_usage(_existing(environment.cache_root)).free,
    )


def _why_no_image(environment: Environment) -> str | None:
    texts = read_matrix(())
    bases = {load(texts, name).toolchain.image for name in names(texts)}
    if environment.base_image:
        bases = {environment.base_image}
    if not engine_answers(environment.variables):
        return None
    try:
        images = images_of(environment)
        return next(filter(None, map(images.why_none, sorted(bases))), None)
    except BoardwrightError as failure:
        return failure.what


def _emulators() -> tuple[Emulator, ...]:
    texts = read_matrix(())
    targets = (load(texts, name) for name in names(texts))
    return tuple(target.emulator for target in targets if target.emulator)


def _problem(environment: Environment) -> str | None:
    try:
        environment.trust.require(environment.cache_root)
    except BoardwrightError as failure:
        return str(failure)
    place = _existing(environment.cache_root)
    return None if os.access(place, os.W_OK | os.X_OK) else f"{place} is not writable"


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
