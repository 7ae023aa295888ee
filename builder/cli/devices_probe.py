"""``boardwright devices probe``: what devices say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from builder.boards.board import Board
from builder.boards.survey import probe
from builder.cli.attached import devices_meant
from builder.cli.cancel import cancelled_by_signals
from builder.cli.environment import read_environment
from builder.cli.visits import Reach, conclude, visit
from builder.model.deployed import Emit, Reached, Succeeded
from builder.model.device import Device
from builder.model.target import Target
from builder.report.facts import facts_lines, facts_to_json


def probe_all(names: tuple[str, ...], options: Mapping[str, Any]) -> int:
    """Probe the devices of ``names`` and of the options of ``Reach``; return the exit code."""
    reach, environment = Reach(**options), read_environment()
    patterns = (*names, *reach.patterns)
    devices = devices_meant(environment, patterns, reach.tags)
    found: dict[str, list[str]] = {}

    def act(board: Board, device: Device, _: Target, emit: Emit) -> Succeeded:
        emit(Reached(device=device.name, stage="probe"))
        facts = probe(board)
        found[device.name] = facts_lines(facts)
        line = f"{facts.machine}, {facts.kernel}"
        return Succeeded(device=device.name, line=line, document=facts_to_json(facts))

    with cancelled_by_signals() as cancel:
        visits = visit(devices, reach, environment, cancel, act)
    if not reach.as_json:
        for device in devices:
            click.echo("\n".join((device.name, *found.get(device.name, ()))))
    return conclude(visits, as_json=reach.as_json)
