"""``boardwright build``: one bundle per target, published with its receipt."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from builder.cli.building import Flags, Work, carry_out, lay_plans
from builder.cli.cancel import cancelled_by_signals
from builder.cli.environment import Environment, read_environment
from builder.cli.failure import say
from builder.cli.limit_options import limit_options
from builder.cli.options import (
    binding_options,
    inputs_option,
    json_option,
    seed_option,
    target_folders_option,
    target_option,
    toolchain_option,
)
from builder.cli.reports import choose_report
from builder.errors import BoardwrightError
from builder.model.receipt import Receipt
from builder.report.json_report import write_json
from builder.report.plan_view import plan_lines, plan_to_json


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@target_option
@click.option("--all", "all_targets", is_flag=True, help="Every target.")
@binding_options
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where bundles go [dist].")
@toolchain_option
@target_folders_option
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Steps at a time [CPU cores].")
@click.option("--dry-run", is_flag=True, help="Print the plan and do nothing.")
@json_option
@click.option(
    "--verify",
    type=click.Choice(["auto", "require", "off"]),
    default="auto",
    help="Compare with ONNX Runtime where the code can run; require fails where it cannot.",
)
@inputs_option
@click.option("--no-cache", is_flag=True, help="Make every step anew.")
@seed_option
@click.option("--name", help="What the bundle is called [the project's, or the model file's].")
@click.option("-v", "--verbose", is_flag=True, help="Show what the tools say.")
@limit_options
def command(**options: Any) -> int:
    """Build MODEL for one or more targets.

    What is not given is taken from boardwright.yaml in this folder or above. The exit code is 0
    when every target is built, else that of the first failed one.
    """
    return build(Flags(**options), read_environment())


def build(flags: Flags, environment: Environment) -> int:
    """Build, or with ``--dry-run`` show what would be; return the exit code."""
    work = lay_plans(flags, environment)
    if flags.dry_run:
        return _show(work, as_json=flags.as_json)
    report = choose_report(as_json=flags.as_json, verbose=flags.verbose, plain=environment.plain)
    with cancelled_by_signals() as cancel:
        receipts = carry_out(work, report, cancel)
    return exit_code(receipts, as_json=flags.as_json)


def _show(work: Work, *, as_json: bool) -> int:
    store = work.tools.store
    cached = {step.key for step in work.plan.steps if store.lookup(step.key)}
    if as_json:
        write_json(sys.stdout, plan_to_json(work.plan, cached))
    else:
        click.echo("\n".join(plan_lines(work.plan, cached)))
    return 0


def exit_code(receipts: Sequence[Receipt], *, as_json: bool) -> int:
    """Say each failure once, unless the JSON document has said it; return the first one's code."""
    failures = [BoardwrightError.from_json(receipt.error) for receipt in receipts if receipt.error]
    if not as_json:
        # A shared step that failed has failed every target: once is enough to say so.
        for failure in {str(failure): failure for failure in failures}.values():
            say(failure)
    return failures[0].exit_code if failures else 0
