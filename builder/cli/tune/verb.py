"""The verb itself: its options, and whether it measures here or on a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from builder.cli.board_options import accept_option, wait_option
from builder.cli.environment import read_environment
from builder.cli.limit_options import limit_options
from builder.cli.options import (
    binding_options,
    json_option,
    target_folders_option,
    target_option,
    toolchain_option,
)
from builder.cli.tune.here import tune_here
from builder.cli.tune.request import Duration, Flags
from builder.errors import UsageError


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@target_option
@click.option("-d", "--device", metavar="NAME", help="Measure on this device, not here.")
@wait_option
@accept_option
@binding_options
@click.option("--budget", type=Duration(), default="2m", help="Measure for so long [2m].")
@click.option("--again", is_flag=True, help="Measure also what records know already.")
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where records go [the project's tuning folder, else the user's].",
)
@toolchain_option
@target_folders_option
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show what the tools say.")
@limit_options
def command(**options: Any) -> int:
    """Measure which tiles of MODEL's kernels are the fastest, here or on a device.

    Without --device the target must be one that this machine runs itself. What is measured is kept
    as records, and builds for the same CPU by the same compiler version use them.
    """
    flags, environment = Flags(**options), read_environment()
    if flags.device is None:
        return tune_here(flags, environment)
    if flags.targets:
        raise UsageError(
            "a device has its target",
            reason="usage",
            remedy="give either --target NAME, to measure here, or --device NAME",
        )
    from builder.cli.tune.device import tune_device  # paramiko, which only devices pay for

    return tune_device(flags.device, flags, environment)
