"""``boardwright status``: what runs on devices, what is kept there, who is at work on them."""

from __future__ import annotations

from typing import Any

import click

from builder.boards.board import Board
from builder.boards.survey import take_stock
from builder.cli.attached import devices_meant
from builder.cli.board_options import reach_options
from builder.cli.cancel import cancelled_by_signals
from builder.cli.environment import read_environment
from builder.cli.visits import Reach, conclude, visit
from builder.deploy.layout import Inventory
from builder.model.deployed import Emit, Reached, Succeeded
from builder.model.device import Device
from builder.model.target import Target


@click.command()
@reach_options
def command(**options: Any) -> int:
    """Show what runs on devices.

    Without --device and --tag on all of them. Nothing on them is changed.
    """
    reach, environment = Reach(**options), read_environment()
    devices = devices_meant(environment, reach.patterns or ("*",), reach.tags)
    with cancelled_by_signals() as cancel:
        visits = visit(devices, reach, environment, cancel, _status)
    return conclude(visits, as_json=reach.as_json)


def _status(board: Board, device: Device, _: Target, emit: Emit) -> Succeeded:
    emit(Reached(device=device.name, stage="survey"))
    found = take_stock(board)
    return Succeeded(device=device.name, line=_line(found), document=_document(found))


def _line(found: Inventory) -> str:
    runs = f"runs {found.current.name}" if found.current else "runs nothing"
    others = ", ".join(r.name for r in reversed(found.releases) if r != found.current)
    kept = f"; keeps {others}" if others else ""
    held = f"; held by {found.holder.who} for {found.holder.age_s} s" if found.holder else ""
    return runs + kept + held


def _document(found: Inventory) -> dict[str, Any]:
    return {
        "current": found.current and found.current.name,
        "releases": [release.name for release in found.releases],
        "stored_bytes": sum(found.objects.values()),
        "interrupted_uploads": found.uploads,
        "holder": found.holder and {"who": found.holder.who, "age_s": found.holder.age_s},
    }
