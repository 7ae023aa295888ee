"""``boardwright run BUNDLE …``: run a bundle on this machine, natively or under qemu."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from builder.boards.bundle import not_runnable
from builder.bundle.manifest import MANIFEST, read_manifest
from builder.cli.environment import Environment, read_environment
from builder.cli.installation import read_matrix
from builder.cli.options import target_folders_option
from builder.effects.machine import find_emulator, survey_machine
from builder.errors import UsageError
from builder.matrix import load
from builder.model.receipt import Receipt
from builder.model.target import Target
from builder.model.toolchain import LocalToolchain
from builder.planning import INSTALL_EMULATORS, runs_where

_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(context_settings=_PASS_ON)
@target_folders_option
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(bundle: Path, target_folders: tuple[Path, ...], arguments: tuple[str, ...]) -> None:
    """Run BUNDLE here, natively or under qemu.

    BUNDLE is a bundle's folder, or that of a target below the output folder. ARGUMENTS are those
    of its bin/run: --check, --bench, --profile, --info, --inputs DIR --outputs DIR, ….
    """
    folder = find_bundle(bundle)
    target = load(read_matrix(target_folders), read_manifest(folder).target)
    runner = folder / "bin" / "run"
    own = arguments[1:] if arguments[:1] == ("--",) else arguments
    argv = (*prefix(target, read_environment()), str(runner), *own)
    sys.stdout.flush()
    # The runner becomes this process: signals, streams and the exit status are its own.
    os.execv(argv[0], argv)


def find_bundle(place: Path) -> Path:
    """Return the bundle's folder at ``place`` or in its ``bundle``.

    Raises ``UsageError``: ``no-bundle``, ``not-runnable``, ``last-build-failed`` where ``place``
    is a target's folder whose bundle is of an earlier build.
    """
    _refuse_failed(place)
    for folder in (place, place / "bundle"):
        if (folder / MANIFEST).is_file():
            if any(folder.glob("*.aar")):
                raise not_runnable(str(place))
            return folder.absolute()
    raise UsageError(
        "there is no bundle",
        reason="no-bundle",
        where=str(place),
        remedy="give the folder of a target, such as dist/MODEL/TARGET; boardwright build makes it",
    )


def _refuse_failed(place: Path) -> None:
    try:
        receipt = Receipt.from_json(json.loads((place / "receipt.json").read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return  # the bundle speaks for itself
    if receipt.last_good is not None:
        raise UsageError(
            "the last build of this target failed",
            reason="last-build-failed",
            where=str(place),
            state=f"the bundle there is of {receipt.last_good.published_utc}",
            remedy=f"build it again, or name that bundle: {place / 'bundle'}",
        )


def prefix(target: Target, environment: Environment) -> tuple[str, ...]:
    """Return what to put before the runner's path here: nothing, or qemu with the board's CPU.

    Raises ``UsageError`` ``cannot-run`` where neither this CPU nor an emulator can run the code.
    """
    emulator = target.emulator
    machine = survey_machine([emulator] if emulator else [], search_path=environment.search_path)
    where = runs_where(target, LocalToolchain(versions=()), machine)
    if where == "native":
        return ()
    if where is None or emulator is None:
        raise UsageError(
            f"nothing on this machine can run the code of {target.name}",
            reason="cannot-run",
            remedy=f"run: {INSTALL_EMULATORS}",
        )
    program = find_emulator(emulator.qemu, environment.search_path)
    assert program is not None, "the survey has just found it"
    return (program, "-L", emulator.sysroot, "-cpu", emulator.cpu)
