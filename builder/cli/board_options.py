"""Options of the verbs that go to boards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from builder.cli.options import json_option, target_folders_option

_JOBS = 8

accept_option = click.option(
    "--accept-new-host-key",
    is_flag=True,
    help="Trust, and remember, hosts that SSH does not know yet.",
)

_reach_options = (
    click.option(
        "-d",
        "--device",
        "patterns",
        metavar="NAME",
        multiple=True,
        help="A device or a glob (lab-*); may be repeated.",
    ),
    click.option(
        "--tag",
        "tags",
        metavar="WORD",
        multiple=True,
        help="Only devices that bear it; may be repeated.",
    ),
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1, 256),
        default=_JOBS,
        help=f"Devices at a time [{_JOBS}].",
    ),
    accept_option,
    target_folders_option,
    json_option,
)

wait_option = click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    type=click.IntRange(0, 86400),
    default=0,
    help="Wait so long for a device that somebody holds [0].",
)


def reach_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options that ``visits.Reach`` holds."""
    for option in reversed(_reach_options):
        command = option(command)
    return command
