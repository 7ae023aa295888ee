"""``boardwright report RESULT...``: a page about measurements."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from builder.bench.result import Measurement
from builder.cli.clock import SystemClock
from builder.cli.options import json_option
from builder.effects.durable import refusals, write_atomically
from builder.effects.results import find_results, load_result
from builder.package_files import templates_root
from builder.report.json_report import write_json
from builder.report.page import render_page


@click.command()
@click.argument(
    "results", metavar="RESULT...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="report.html",
    help="The page [report.html].",
)
@click.option("--title", default="Benchmarks", help="Its heading [Benchmarks].")
@json_option
def command(results: tuple[Path, ...], out: Path, title: str, as_json: bool) -> None:
    """Write a page about the measurements in RESULT files.

    One HTML file that needs nothing else: latency distributions, boards side by side, the history
    of each, profiles, and the environment of every run. A folder stands for all results in it.
    """
    files = [file for place in results for file in find_results(place)]
    write_page([load_result(file) for file in files], out, title=title)
    if as_json:
        write_json(sys.stdout, {"status": "ok", "page": str(out), "results": len(files)})
    else:
        click.echo(f"wrote {out}")


def write_page(measurements: Sequence[Measurement], out: Path, *, title: str) -> None:
    """Write the page about ``measurements``."""
    page = render_page(
        measurements,
        title=title,
        made_utc=SystemClock().now_utc_iso(),
        templates=templates_root(),
    )
    with refusals(out, unwritable="report-unwritable", remedy="choose another file"):
        write_atomically(out.absolute(), page.encode())
