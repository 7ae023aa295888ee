"""``boardwright summary``: what jobs printed as JSON, for people and for CI services."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from builder.cli.options import json_option
from builder.effects.durable import refusals, write_atomically
from builder.errors import UsageError
from builder.jobs.outcomes import Outcome, outcomes_of
from builder.report.json_report import write_json
from builder.report.wording import no_command

_LARGEST_BYTES = 256 << 20


@click.command()
@click.argument("results", metavar="RESULT...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write JUnit XML to this file as well.",
)
@json_option
def command(results: tuple[Path, ...], junit: Path | None, as_json: bool) -> int:
    """Say how builds and deployments went, as Markdown and JUnit XML.

    RESULT... are documents that build, deploy-remote and bench printed with --json. What failed
    in them does not make this fail.
    """
    if not results:
        raise UsageError(
            "no results to sum up",
            reason="no-result",
            remedy="give files that --json of build, deploy-remote or bench was written to",
        )
    outcomes = [outcome for path in results for outcome in outcomes_of(_read(path), name=path.stem)]
    if junit is not None:
        _write_junit(outcomes, junit)
    _print(outcomes, as_json=as_json)
    return 0


def _print(outcomes: list[Outcome], *, as_json: bool) -> None:
    if as_json:
        told = [outcome.to_json() for outcome in outcomes]
        write_json(sys.stdout, {"status": "ok", "outcomes": told})
    else:
        from builder.jobs.markdown import markdown

        lines = markdown(outcomes).splitlines(keepends=True)
        click.echo("".join(map(no_command, lines)), nl=False)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_BYTES)
    except FileNotFoundError:
        return b""  # the job died before it could write one, which is worth a line
    except OSError as error:
        raise UsageError(
            "cannot read the result", reason="no-result", where=str(path), why=error.strerror
        ) from error


def _write_junit(outcomes: list[Outcome], path: Path) -> None:
    from builder.jobs.junit import junit_xml

    with refusals(path, unwritable="junit-unwritable", remedy="choose another --junit"):
        write_atomically(path, junit_xml(outcomes))
