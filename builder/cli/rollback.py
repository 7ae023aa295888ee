"""``boardwright rollback``: devices run an earlier release again."""

from __future__ import annotations

from typing import Any

import click

from builder.boards.board import Board
from builder.boards.rollback import roll_back
from builder.cli.attached import devices_meant
from builder.cli.board_options import reach_options, wait_option
from builder.cli.cancel import cancelled_by_signals
from builder.cli.environment import read_environment
from builder.cli.fleet import own_name
from builder.cli.visits import Reach, conclude, visit
from builder.model.deployed import Emit, Succeeded
from builder.model.device import Device
from builder.model.target import Target


@click.command()
@click.option("--to", "wanted", metavar="RELEASE", help="One that boardwright status shows.")
@wait_option
@reach_options
def command(wanted: str | None, wait_s: int, **options: Any) -> int:
    """Let devices run an earlier release again.

    It is the one before the current one, or the one that --to names.
    """
    reach, environment = Reach(**options), read_environment()
    devices = devices_meant(environment, reach.patterns, reach.tags)

    def act(board: Board, device: Device, _: Target, emit: Emit) -> Succeeded:
        now, left = roll_back(board, own_name(), emit, wait_s=wait_s, wanted=wanted)
        was = f", no longer {left.id}" if left else " already"
        return Succeeded(
            device=device.name,
            line=f"runs {now.id}{was}",
            document={"release": now.name, "previous": left and left.name},
        )

    with cancelled_by_signals() as cancel:
        visits = visit(devices, reach, environment, cancel, act)
    return conclude(visits, as_json=reach.as_json)
