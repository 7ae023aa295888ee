"""``boardwright cache``: what the build cache holds, and trimming it."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict

import click

from builder.cli.environment import read_environment
from builder.cli.options import json_option
from builder.effects.store import DiskStore
from builder.report.json_report import write_json
from builder.report.wording import byte_size

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.IGNORECASE)


class _ByteSize(click.ParamType[int]):
    """A size as people write it: ``2G``, ``512MiB``, ``1048576``."""

    name = "size"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        matched = _SIZE.fullmatch(str(value))
        if not matched:
            self.fail(f"{value!r} is not a size such as 2G or 512M", param, ctx)
        return int(float(matched[1]) * _UNITS[matched[2].upper()])


@click.group()
def command() -> None:
    """Show or trim the build cache."""


@command.command()
@json_option
def info(as_json: bool) -> None:
    """Say where the cache lies, how large it is and how many artifacts it holds."""
    root = read_environment().cache_root
    found = DiskStore(root).info()
    if as_json:
        write_json(sys.stdout, {"status": "ok", "path": str(root), **asdict(found)})
    else:
        click.echo(f"{root}: {byte_size(found.size_bytes)} in {found.entries} entries")


@command.command()
@click.option("--max-size", type=_ByteSize(), help="Keep the newest artifacts up to this size: 2G.")
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
@json_option
def clean(max_size: int | None, everything: bool, as_json: bool) -> None:
    """Remove the artifacts that were used least recently."""
    if (max_size is None) == (not everything):
        raise click.UsageError("give either --max-size or --all")
    store = DiskStore(read_environment().cache_root)
    cleaned = store.clean(max_size_bytes=max_size, all=everything)
    if as_json:
        write_json(sys.stdout, {"status": "ok", **asdict(cleaned)})
        return
    kept = f"{byte_size(cleaned.kept_bytes)} in {cleaned.kept_entries} entries left"
    click.echo(f"removed {byte_size(cleaned.freed_bytes)}, {kept}")
