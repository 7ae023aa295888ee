"""What ``--toolchain auto`` comes to where Docker answers but no image can be had."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import click

from builder.cli.toolchains import Toolchains
from builder.errors import BuildFailed, UsageError
from builder.report.wording import safe
from builder.steps import Step


def usable(
    toolchains: Toolchains, steps: Iterable[Step], cancel: threading.Event, *, verbose: bool
) -> Toolchains:
    """Return toolchains that can perform ``steps``: those given, or what they fall back to.

    Images that are not there are built now. Raises as ``Toolchains.obtain`` does where there is
    nothing to fall back to.
    """
    needed = list(dict.fromkeys(step.toolchain for step in steps))
    if toolchains.obtain is None or toolchains.otherwise is None or not needed:
        return toolchains
    try:
        toolchains.obtain(needed, _say if verbose else _say_what_takes_long, cancel)
    except (UsageError, BuildFailed) as failure:
        _say(f"warning: {failure.what}{f' ({failure.why})' if failure.why else ''}")
        _say("building with this Python environment instead; see: boardwright doctor")
        return toolchains.otherwise()
    return toolchains


def _say_what_takes_long(line: str) -> None:
    if line.startswith(("building the image ", "pulling ")):
        _say(line)


def _say(line: str) -> None:
    click.echo(safe(line), err=True)
