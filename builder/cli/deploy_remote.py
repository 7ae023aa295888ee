"""``boardwright deploy-remote``: build what devices need, bring it there, check, switch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from builder.boards.board import Board
from builder.boards.bundle import LocalBundle, read_needs
from builder.boards.deploy import deploying
from builder.boards.draft import Order, plan_deploy
from builder.boards.lock import BoardLock
from builder.cli.attached import devices_meant
from builder.cli.board_options import reach_options, wait_option
from builder.cli.building import Flags
from builder.cli.bundles import Bundles, build_bundles, given_bundle, published_bundles
from builder.cli.cancel import cancelled_by_signals
from builder.cli.clock import SystemClock
from builder.cli.deploy_record import failure_kept, planned, step_lines, succeeded, unbuilt
from builder.cli.environment import Environment, read_environment
from builder.cli.fleet import ad_hoc_device, own_name
from builder.cli.limit_options import limit_options
from builder.cli.measure_options import MEASURING, BenchFlags, measure_options
from builder.cli.options import binding_options, toolchain_option
from builder.cli.reaching import reached
from builder.cli.toolchains import Choice
from builder.cli.visits import Reach, conclude, visit
from builder.errors import BoardwrightError, UsageError
from builder.model.deployed import Emit, Reached, Succeeded
from builder.model.device import Device
from builder.model.model_limits import ModelLimits
from builder.model.target import Target

if TYPE_CHECKING:
    from builder.cli.bench.deployed import AfterDeploy


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployFlags:
    """The options of ``deploy-remote`` beside those of ``Reach``, as click gives them."""

    model: Path | None
    target: str | None
    host: str | None
    root: str | None
    bundle: Path | None
    keep: int | None
    wait_s: int
    dry_run: bool
    bench: bool
    measure: BenchFlags
    results: Path
    report: Path | None
    toolchain: Choice
    shapes: tuple[str, ...]
    dims: tuple[str, ...]
    freezes: tuple[str, ...]
    out: Path | None
    name: str | None
    limits: ModelLimits


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("-t", "--target", metavar="NAME", help="What the board at --host is.")
@click.option("--host", metavar="[USER@]HOST", help="A board that no file lists.")
@click.option("--root", metavar="FOLDER", help="Where bundles go on the board at --host.")
@click.option(
    "--bundle",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Bring this bundle, and build nothing.",
)
@click.option("--keep", type=click.IntRange(1, 100), help="Releases that stay [the device's, 3].")
@wait_option
@click.option("--dry-run", is_flag=True, help="Print every step and do none.")
@click.option("--bench", is_flag=True, help="Measure on the board what it runs then.")
@measure_options("With --bench: ")
@click.option(
    "--results",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default="results",
    help="With --bench: where measurements go [results].",
)
@click.option(
    "--report",
    metavar="FILE.html",
    type=click.Path(path_type=Path),
    help="With --bench: write a page about the measurements.",
)
@binding_options
@toolchain_option
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where bundles go [dist].")
@click.option("--name", help="What the bundle is called [the project's, or the model file's].")
@reach_options
@limit_options
def command(**options: Any) -> int:
    """Build what devices need, bring it there, check and switch.

    Only what is new on a board is sent. Whatever goes wrong, a board runs the release before or
    the new one. The exit code is that of the first device that failed.
    """
    if not options["bench"]:
        _refuse_measuring(click.get_current_context())
    reach = Reach(**{field.name: options.pop(field.name) for field in fields(Reach)})
    measure = BenchFlags(**{name: options.pop(name) for name in MEASURING})
    return deploy_remote(DeployFlags(**options, measure=measure), reach, read_environment())


def deploy_remote(flags: DeployFlags, reach: Reach, environment: Environment) -> int:
    """Deploy, or with ``--dry-run`` show what would be done; return the exit code."""
    devices = _devices(flags, reach, environment)
    after = _after(flags)
    with cancelled_by_signals() as cancel:
        bundles = _bundles(flags, reach, devices, environment, cancel)

        def ready(device: Device) -> None:
            if isinstance(bundle := bundles[device.target], BoardwrightError):
                raise bundle

        def act(board: Board, device: Device, target: Target, emit: Emit) -> Succeeded:
            bundle = bundles[target.name]
            if not isinstance(bundle, LocalBundle):
                keep = flags.keep or device.keep
                return unbuilt(device.name, target.name, keep=keep, measured=flags.bench)
            order = _order(bundle, device, target, flags)
            if flags.dry_run:
                return _plan(board, order, emit, measured=flags.bench)
            with _deployed(board, order, emit) as (done, lock):
                if after is None:
                    return done
                accept = reach.accept_new_host_key
                again = partial(
                    reached, device, target, environment, cancel, accept_new_host_key=accept
                )
                return after.measure(done, board, lock, target, emit, again)

        visits = visit(devices, reach, environment, cancel, act, ready=ready)
    if flags.dry_run and not reach.as_json:
        click.echo("\n".join(step_lines(visits)))
    if after is not None and not reach.as_json:
        after.show()
    code = conclude(visits, as_json=reach.as_json)
    written = after.write_page() if after else 0
    return code or written


def _after(flags: DeployFlags) -> AfterDeploy | None:
    if not flags.bench or flags.dry_run:
        return None
    from builder.cli.bench.deployed import after_deploy  # numpy, which only measuring pays for

    return after_deploy(flags.measure, flags.results, flags.report)


def _refuse_measuring(context: click.Context) -> None:
    """Raise where an option says how to measure and nothing asks to: a gate must not just pass."""
    given = [
        option.opts[-1]
        for option in context.command.params
        if option.name in {*MEASURING, "results", "report"}
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            f"{given[0]} is about measuring, and nothing is measured",
            reason="no-bench",
            remedy="add --bench",
        )


def _order(bundle: LocalBundle, device: Device, target: Target, flags: DeployFlags) -> Order:
    return Order(
        bundle=bundle,
        needs=read_needs(bundle.folder, target),
        who=own_name(),
        wait_s=flags.wait_s,
        keep=flags.keep or device.keep,
    )


@contextmanager
def _deployed(board: Board, order: Order, emit: Emit) -> Iterator[tuple[Succeeded, BoardLock]]:
    """Hold a board that runs what was ordered; how that went is kept beside the receipt."""
    clock = SystemClock()
    began_s = clock.monotonic_s()
    with ExitStack() as held:
        with failure_kept(board.name, order.bundle):
            done, lock = held.enter_context(deploying(board, order, emit))
        yield succeeded(done, order.bundle, seconds=clock.monotonic_s() - began_s), lock


def _plan(board: Board, order: Order, emit: Emit, *, measured: bool) -> Succeeded:
    emit(Reached(device=board.name, stage="survey"))
    return planned(board.name, *plan_deploy(board, order), measured=measured)


def _devices(flags: DeployFlags, reach: Reach, environment: Environment) -> tuple[Device, ...]:
    if flags.host is not None:
        if flags.target is None or reach.patterns or reach.tags:
            raise UsageError(
                "--host needs --target NAME, and neither --device nor --tag",
                reason="usage",
                remedy="see: boardwright deploy-remote --help",
            )
        return (ad_hoc_device(flags.target, flags.host, flags.root, flags.keep),)
    if flags.target is not None or flags.root is not None:
        raise UsageError(
            "--target and --root are about the board at --host",
            reason="usage",
            remedy="add --host, or select devices of a target by name or --tag",
        )
    return devices_meant(environment, reach.patterns, reach.tags)


def _bundles(
    flags: DeployFlags,
    reach: Reach,
    devices: Sequence[Device],
    environment: Environment,
    cancel: threading.Event,
) -> Bundles:
    targets = tuple(dict.fromkeys(device.target for device in devices))
    if flags.bundle is not None:
        return given_bundle(flags.bundle, targets, environment)
    build = _build_flags(flags, reach, targets)
    if flags.dry_run:
        return published_bundles(build, environment)
    return build_bundles(build, environment, cancel)


def _build_flags(flags: DeployFlags, reach: Reach, targets: tuple[str, ...]) -> Flags:
    return Flags(
        model=flags.model,
        targets=targets,
        all_targets=False,
        shapes=flags.shapes,
        dims=flags.dims,
        freezes=flags.freezes,
        out=flags.out,
        toolchain=flags.toolchain,
        target_folders=reach.target_folders,
        jobs=None,
        dry_run=flags.dry_run,
        as_json=reach.as_json,
        verify="auto",
        inputs=None,
        no_cache=False,
        seed=0,
        name=flags.name,
        verbose=False,
        limits=flags.limits,
    )
