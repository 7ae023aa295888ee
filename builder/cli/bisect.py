"""``boardwright bisect``: which ONNX node is wrong in what a board computed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from builder.cli.binding import read_binding
from builder.cli.configuration import Settings, Wishes, find_project, read_project, settle
from builder.cli.environment import Environment, read_environment
from builder.cli.installation import parsed_values, read_matrix
from builder.cli.limit_options import limit_options
from builder.cli.options import binding_options, json_option, toolchain_option
from builder.cli.steps import Desk
from builder.cli.toolchains import Choice
from builder.effects.survey import survey_dump
from builder.errors import IntegrityError, UsageError
from builder.matrix import select
from builder.model.model_limits import ModelLimits
from builder.model.source import Source
from builder.planning import BuildRequest, PlannedStep, ToolchainOf, plan_bisection
from builder.report.json_report import write_json
from builder.report.wording import safe

_TARGETS = ("x86_64-linux",)  # whose image prepares the model; the dump may be of any


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The options of ``bisect``, as click gives them."""

    dump: Path
    model: Path | None
    shapes: tuple[str, ...]
    dims: tuple[str, ...]
    freezes: tuple[str, ...]
    inputs: Path | None
    out: Path
    toolchain: Choice
    as_json: bool
    limits: ModelLimits


@click.command()
@click.argument("dump", type=click.Path(path_type=Path))
@click.argument("model", required=False, type=click.Path(path_type=Path))
@binding_options
@click.option(
    "--inputs", metavar="FILE.npz", type=click.Path(path_type=Path), help="The build's own."
)
@click.option(
    "-o", "--out", default="bisect", type=click.Path(path_type=Path), help="What is found [bisect]."
)
@toolchain_option
@json_option
@limit_options
def command(**options: Any) -> int:
    """Find the ONNX node of MODEL where the numbers of DUMP go wrong.

    DUMP is the folder that a bundle's bin/run --dump wrote on a board, of the bundle's own check
    inputs. Shapes, frozen inputs and inputs must be those of the build. The exit code is 5 where
    something is wrong.
    """
    return bisect(Flags(**options), read_environment())


def bisect(flags: Flags, environment: Environment) -> int:
    """Look for the node, write what is found to a folder, and say so; return the exit code."""
    if flags.out.exists():
        raise UsageError("there is something already", reason="out-exists", where=str(flags.out))
    desk = Desk.of(flags.toolchain, select(read_matrix(()), _TARGETS), environment)
    dump = survey_dump(flags.dump, desk.memo)

    def planned(
        request: BuildRequest, source: Source, toolchain_of: ToolchainOf
    ) -> tuple[PlannedStep, ...]:
        return plan_bisection(request, source, dump, toolchain_of)

    artifact = desk.make(_settings(flags, environment), planned, verbose=False)
    shutil.copytree(artifact, flags.out, copy_function=shutil.copyfile)
    return _tell(json.loads((artifact / "bisection.json").read_text(encoding="utf-8")), flags)


def _settings(flags: Flags, environment: Environment) -> Settings:
    cwd = Path.cwd()
    file = find_project(cwd, environment.trust)
    binding, frozen_file = read_binding(flags.shapes, flags.dims, flags.freezes)
    wishes = Wishes(
        model=flags.model,
        binding=binding,
        frozen_file=frozen_file,
        inputs=flags.inputs,
        limits=flags.limits,
    )
    project = read_project(file, parsed_values(environment.cache_root)) if file else None
    return settle(wishes, project, file.parent if file else cwd, otherwise=_TARGETS)


def _unseen_fault(found: Mapping[str, Any]) -> bool:
    """Say whether an output is wrong though no node is: it was not copied as it should be."""
    return found["cause"] == "unseen" and not all(each["ok"] for each in found["compared"])


def _tell(found: Mapping[str, Any], flags: Flags) -> int:
    wrong = found["cause"] not in ("unseen", "jump") or _unseen_fault(found)
    if flags.as_json:
        write_json(sys.stdout, {"status": "wrong" if wrong else "ok", **found})
    else:
        where = f"{found['node']} ({found['operator']})" if found["node"] else "no node to blame"
        click.echo(safe(f"{found['cause']}: {where}"))
        click.echo(f"see {flags.out}")
    return IntegrityError.exit_code if wrong else 0
