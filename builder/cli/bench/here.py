"""Measure a bundle on this machine."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from builder.boards.measure import Outcome, World, bench_board
from builder.boards.take import Candidate
from builder.bundle.manifest import MANIFEST, load_manifest
from builder.cli.bench.request import candidate, threads_of, wish_of
from builder.cli.bundle_place import find_bundle
from builder.cli.clock import SystemClock
from builder.cli.environment import Environment
from builder.cli.installation import read_matrix
from builder.cli.intact import intact_bundle
from builder.cli.measure_options import BenchFlags
from builder.cli.run import prefix
from builder.effects.digest_memo import DigestMemo
from builder.effects.local_board import LocalBoard
from builder.errors import UsageError
from builder.matrix import load
from builder.model.target import Target

DEVICE = "local"


def bench_here(
    place: Path, flags: BenchFlags, environment: Environment, cancel: threading.Event
) -> tuple[Outcome, ...]:
    """Measure the bundle at ``place``, in turns with another folder's where a baseline is given.

    Raises ``UsageError``: ``no-bundle``, ``foreign-bundle``, and as ``bench_board`` does.
    """
    new, target = _candidate(place, flags, environment)
    old = _candidate(Path(flags.baseline), flags, environment)[0] if flags.baseline else None
    wish, threads = wish_of(flags, target.bench), threads_of(flags, target.bench)
    return bench_board(LocalBoard(), DEVICE, wish, threads, _world(cancel), new, old)


def beside_rivals(outcomes: Sequence[Outcome], place: Path, model: Path) -> tuple[Outcome, ...]:
    """Return the outcomes with what other runtimes make of ``model`` on the same cores.

    Raises ``BuildFailed`` ``rivals-failed``.
    """
    from builder.effects.rivals import race

    bundle = find_bundle(place)
    made: list[Outcome] = []
    for outcome in outcomes:
        pace = outcome.new.pace
        rivals = race(model, bundle, pace.threads, pace.cores)
        made.append(replace(outcome, new=replace(outcome.new, rivals=rivals)))
    return tuple(made)


def _world(cancel: threading.Event) -> World:
    return World(
        clock=SystemClock(),
        token=lambda: secrets.token_hex(8),
        cancel=cancel,
        tell=lambda line: click.echo(f"{DEVICE}: {line}", err=True),
    )


def _candidate(
    place: Path, flags: BenchFlags, environment: Environment
) -> tuple[Candidate, Target]:
    folder = intact_bundle(place, DigestMemo(environment.cache_root / "memo").sha256).folder
    text = (folder / MANIFEST).read_bytes()
    manifest = load_manifest(text)
    target = load(read_matrix(flags.target_folders), manifest.target)
    if prefix(target, environment):
        raise _foreign(folder, target)
    return candidate(str(folder), manifest, hashlib.sha256(text).hexdigest(), release=None), target


def _foreign(folder: Path, target: Target) -> UsageError:
    return UsageError(
        f"this machine is no {target.name}",
        reason="foreign-bundle",
        where=str(folder),
        why="times under an emulator say nothing about the board",
        remedy="measure on the board: boardwright bench --device NAME",
    )
