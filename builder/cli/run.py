"""``boardwright run BUNDLE …``: run a bundle on this machine, natively or under qemu."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from builder.cli.environment import Environment, read_environment
from builder.cli.installation import read_matrix
from builder.cli.intact import intact_bundle
from builder.cli.options import target_folders_option
from builder.effects.digest_memo import DigestMemo
from builder.effects.machine import find_emulator, survey_machine
from builder.errors import UsageError
from builder.matrix import load
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
    environment = read_environment()
    memo = DigestMemo(environment.cache_root / "memo")
    found = intact_bundle(bundle, memo.sha256)
    target = load(read_matrix(target_folders), found.target)
    own = arguments[1:] if arguments[:1] == ("--",) else arguments
    argv = (*prefix(target, environment), str(found.folder / "bin" / "run"), *own)
    sys.stdout.flush()
    # The runner becomes this process: signals, streams and the exit status are its own.
    os.execv(argv[0], argv)


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
