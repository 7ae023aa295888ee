"""``boardwright build``: one bundle per target, published with its receipt."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from builder.cli.clock import SystemClock
from builder.cli.configuration import Settings, Wishes, find_project, read_project, settle
from builder.cli.environment import Environment, read_environment
from builder.cli.failure import say
from builder.cli.installation import parsed_values, read_matrix, this_payload
from builder.cli.options import json_option, shape_option, target_folders_option, target_option
from builder.cli.reports import Report, choose_report
from builder.cli.toolchains import Choice, Toolchains, choose
from builder.effects.digest_memo import DigestMemo
from builder.effects.machine import survey_machine
from builder.effects.parsed import ParsedValues
from builder.effects.publish import Publisher
from builder.effects.store import DiskStore
from builder.effects.survey import survey_model, survey_npz, unchanged
from builder.errors import BoardwrightError
from builder.executor.execute import World, execute
from builder.matrix import select
from builder.model.receipt import Receipt
from builder.model.target import Target
from builder.planning import BuildRequest, Plan, VerifyPolicy, plan
from builder.project import parse_shape
from builder.report.json_report import write_json
from builder.report.plan_view import plan_lines, plan_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of ``build``, as click gives them."""

    model: Path | None
    targets: tuple[str, ...]
    all_targets: bool
    shapes: tuple[str, ...]
    out: Path | None
    toolchain: Choice
    target_folders: tuple[Path, ...]
    jobs: int | None
    dry_run: bool
    as_json: bool
    verify: VerifyPolicy
    inputs: Path | None
    no_cache: bool
    seed: int
    name: str | None
    verbose: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What planning and execution share: the cache, what is known of files, where steps run."""

    memo: DigestMemo
    store: DiskStore
    toolchains: Toolchains


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@target_option
@click.option("--all", "all_targets", is_flag=True, help="Every target.")
@shape_option
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where bundles go [dist].")
@click.option(
    "--toolchain",
    type=click.Choice(["auto", "docker", "local"]),
    default="auto",
    help="Where to compile; auto is Docker where an engine answers.",
)
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
@click.option(
    "--inputs", metavar="FILE.npz", type=click.Path(path_type=Path), help="Inputs to check with."
)
@click.option("--no-cache", is_flag=True, help="Make every step anew.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of random inputs [0].")
@click.option("--name", help="What the bundle is called [the project's, or the model file's].")
@click.option("-v", "--verbose", is_flag=True, help="Show what the tools say.")
def command(**options: Any) -> int:
    """Build MODEL for one or more targets.

    What is not given is taken from boardwright.yaml in this folder or above. The exit code is 0
    when every target is built, else that of the first failed one.
    """
    return build(Flags(**options), read_environment())


def build(flags: Flags, environment: Environment) -> int:
    """Build, or with ``--dry-run`` show what would be; return the exit code."""
    parsed = parsed_values(environment.cache_root)
    settings = _settings(flags, parsed)
    targets = _targets(flags, settings, parsed)
    memo = DigestMemo(environment.cache_root / "memo")
    tools = Tools(
        memo=memo,
        store=DiskStore(environment.cache_root, memo),
        toolchains=choose(flags.toolchain, targets, environment),
    )
    request = _request(flags, settings, targets, tools, environment)
    source = survey_model(settings.model, memo)
    made = plan(request, targets, source, tools.toolchains.of)
    if flags.dry_run:
        return _show(made, tools, as_json=flags.as_json)
    report = choose_report(as_json=flags.as_json, verbose=flags.verbose, plain=environment.plain)
    jobs = flags.jobs or request.machine.cores
    receipts = _execute(made, tools, settings.out, report, fresh=flags.no_cache, jobs=jobs)
    return exit_code(receipts, as_json=flags.as_json)


def _settings(flags: Flags, parsed: ParsedValues) -> Settings:
    cwd = Path.cwd()
    file = find_project(cwd)
    wishes = Wishes(
        model=flags.model,
        name=flags.name,
        patterns=("*",) if flags.all_targets else flags.targets,
        shapes=tuple(map(parse_shape, flags.shapes)),
        out=flags.out,
        inputs=flags.inputs,
    )
    project = read_project(file, parsed) if file else None
    return settle(wishes, project, file.parent if file else cwd)


def _targets(flags: Flags, settings: Settings, parsed: ParsedValues) -> tuple[Target, ...]:
    texts = read_matrix(flags.target_folders)
    return parsed.get(
        tuple[Target, ...],
        [texts, settings.patterns],
        lambda: select(texts, settings.patterns),
    )


def _request(
    flags: Flags,
    settings: Settings,
    targets: Sequence[Target],
    tools: Tools,
    environment: Environment,
) -> BuildRequest:
    emulators = [target.emulator for target in targets if target.emulator]
    return BuildRequest(
        model_name=settings.name,
        shapes=settings.shapes,
        check_inputs=survey_npz(settings.inputs, tools.memo) if settings.inputs else None,
        seed=flags.seed,
        verify=flags.verify,
        machine=survey_machine(emulators, search_path=environment.search_path),
        payload=this_payload(),
        versions=tools.toolchains.versions,
    )


def _show(made: Plan, tools: Tools, *, as_json: bool) -> int:
    cached = {step.key for step in made.steps if tools.store.lookup(step.key)}
    if as_json:
        write_json(sys.stdout, plan_to_json(made, cached))
    else:
        click.echo("\n".join(plan_lines(made, cached)))
    return 0


def _execute(
    made: Plan, tools: Tools, out: Path, report: Report, *, fresh: bool, jobs: int
) -> tuple[Receipt, ...]:
    with _cancelled_by_signals() as cancel, report:
        world = World(
            store=tools.store,
            workshops=tools.toolchains.workshop,
            publisher=Publisher(out, tools.memo),
            unchanged=lambda source: unchanged(source, tools.memo),
            clock=SystemClock(),
            emit=report,
            cancel=cancel,
            fresh=fresh,
        )
        return execute(made, world, jobs=jobs)


@contextmanager
def _cancelled_by_signals() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set: work ends in order, nothing is left half-done."""
    cancel = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        cancel.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(receipts: Sequence[Receipt], *, as_json: bool) -> int:
    """Say each failure once, unless the JSON document has said it; return the first one's code."""
    failures = [BoardwrightError.from_json(receipt.error) for receipt in receipts if receipt.error]
    if not as_json:
        # A shared step that failed has failed every target: once is enough to say so.
        for failure in {str(failure): failure for failure in failures}.values():
            say(failure)
    return failures[0].exit_code if failures else 0
