"""The verb itself: its options, and whether it measures here or on devices."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import click

from builder.boards.board import Board
from builder.cli.attached import devices_meant
from builder.cli.bench.device import bench_device, in_short
from builder.cli.bench.here import bench_here, beside_rivals
from builder.cli.bench.request import allowed_change
from builder.cli.bench.verdict import Ledger, conclude
from builder.cli.board_options import reach_options, wait_option
from builder.cli.cancel import cancelled_by_signals
from builder.cli.environment import Environment, read_environment
from builder.cli.measure_options import BenchFlags, measure_options
from builder.cli.reaching import reached
from builder.cli.visits import Reach, visit
from builder.effects.results import need_folder
from builder.errors import BoardwrightError, UsageError
from builder.model.deployed import Emit, Succeeded
from builder.model.device import Device
from builder.model.target import Target


@click.command()
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@measure_options()
@click.option(
    "--rivals",
    metavar="MODEL.onnx",
    type=click.Path(path_type=Path),
    help="Measure ONNX Runtime, OpenVINO and MNN on this machine too.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="results", help="For results [results]."
)
@wait_option
@reach_options
def command(bundle: Path | None, out: Path, **options: Any) -> int:
    """Measure BUNDLE on this machine, or what is deployed on devices.

    Results are saved, also invalid ones. The exit code is 10 when the board was busy, throttled or
    rebooted meanwhile, and 11 when it is slower than --fail-on-regression allows.
    """
    reach = Reach(**{name: options.pop(name) for name in Reach.__dataclass_fields__})
    rivals = options.pop("rivals")
    flags = BenchFlags(**options, target_folders=reach.target_folders)
    ledger = Ledger(out, allowed_change(flags))
    need_folder(out)
    environment = read_environment()
    with cancelled_by_signals() as cancel:
        if bundle is None:
            if rivals:
                raise _rivals_are_here()
            failures = _devices(flags, reach, ledger, environment, cancel)
        elif reach.patterns or reach.tags:
            raise _two_things()
        else:
            failures = _here(bundle, rivals, flags, ledger, environment, cancel)
    return conclude(ledger, failures, as_json=reach.as_json)


def _here(
    bundle: Path,
    rivals: Path | None,
    flags: BenchFlags,
    ledger: Ledger,
    environment: Environment,
    cancel: threading.Event,
) -> list[BoardwrightError]:
    if rivals and not rivals.is_file():
        raise UsageError("there is no such model", reason="no-model", where=str(rivals))
    outcomes = bench_here(bundle, flags, environment, cancel)
    try:
        ledger.settle(beside_rivals(outcomes, bundle, rivals) if rivals else outcomes)
    except BoardwrightError as failure:
        return [failure]
    return []


def _devices(
    flags: BenchFlags,
    reach: Reach,
    ledger: Ledger,
    environment: Environment,
    cancel: threading.Event,
) -> list[BoardwrightError]:
    devices = devices_meant(environment, reach.patterns, reach.tags)

    def act(board: Board, device: Device, target: Target, emit: Emit) -> Succeeded:
        accept = reach.accept_new_host_key
        again = partial(reached, device, target, environment, cancel, accept_new_host_key=accept)
        taken = ledger.settle(bench_device(board, target, flags, emit, again))
        return Succeeded(device=device.name, line=in_short(taken), document={})

    visits = visit(devices, reach, environment, cancel, act)
    return [one.failure for one in visits if one.failure]


def _rivals_are_here() -> UsageError:
    return UsageError(
        "other runtimes are measured on this machine only",
        reason="usage",
        remedy="give the BUNDLE to measure beside them, or leave out --rivals",
    )


def _two_things() -> UsageError:
    return UsageError(
        "a bundle is measured here, a device's own over there: not both at once",
        reason="usage",
        remedy="give either BUNDLE or --device NAME",
    )
