"""``boardwright devices``: the boards within reach."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import click

from builder.cli.board_options import reach_options
from builder.cli.environment import read_environment
from builder.cli.fleet import known_devices
from builder.cli.options import json_option
from builder.model.device import Device
from builder.report.json_report import write_json
from builder.report.summary import aligned


@click.group()
def command() -> None:
    """List devices, and ask them what they are."""


@command.command("list")
@json_option
def list_devices(as_json: bool) -> None:
    """List the devices of boardwright.yaml, of the user's own devices.yaml, and attached phones."""
    from builder.cli.attached import attached_phones

    environment = read_environment()
    known, phones = known_devices(environment), attached_phones(environment)
    if as_json:
        listed = [dataclasses.asdict(device) for device in known]
        attached = [{"name": n, "target": t, "state": s} for n, t, s in phones]
        write_json(sys.stdout, {"status": "ok", "devices": listed, "attached": attached})
    elif known or phones:
        rows = [("device", "target", "host", "tags"), *map(_row, known)]
        rows += [(name, target, f"adb ({state})", "-") for name, target, state in phones]
        click.echo("\n".join(aligned(rows)))
    else:
        click.echo("no device is listed; add them under devices: in boardwright.yaml")


@command.command("probe")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@reach_options
def probe_devices(names: tuple[str, ...], **options: Any) -> int:
    """Ask devices what they are; nothing on them is changed."""
    from builder.cli.devices_probe import probe_all  # what only reaching boards needs

    return probe_all(names, options)


def _row(device: Device) -> tuple[str, ...]:
    return (device.name, device.target, device.host, " ".join(device.tags) or "-")
