"""How to measure: one set of options for two verbs, and for what the documentation says of them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from builder.cli.bench import command as bench
from builder.cli.deploy_remote import command as deploy_remote
from builder.cli.measure_options import MEASURING
from builder.errors import UsageError

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
VERBS = {"bench": bench, "deploy-remote": deploy_remote}


def commands() -> list[tuple[str, str]]:
    """Return what the pages tell readers to type after ``bench`` and ``deploy-remote``."""
    text = "\n".join(page.read_text() for page in PAGES)
    typed = re.findall(r"^ *boardwright (bench|deploy-remote) (.*?)(?: +#.*)?$", text, re.MULTILINE)
    given = re.findall(r"deploy-arguments: (.*)$", text, re.MULTILINE)
    return [*typed, *(("deploy-remote", f"--bench {arguments}") for arguments in given)]


@pytest.mark.parametrize(("verb", "arguments"), commands())
def test_what_is_documented_can_be_typed(verb: str, arguments: str) -> None:
    VERBS[verb].make_context(verb, shlex.split(arguments))


def test_there_is_something_documented() -> None:
    assert {verb for verb, _ in commands()} == set(VERBS)
    assert any("--set-governor" in arguments for _, arguments in commands())


def test_both_verbs_measure_alike() -> None:
    kinds = [
        {p.name: (p.opts, p.type.name, p.default, p.multiple) for p in options(command)}
        for command in VERBS.values()
    ]
    assert kinds[0] == kinds[1]
    assert kinds[0].keys() == MEASURING


def options(command: click.Command) -> list[click.Option]:
    return [p for p in command.params if isinstance(p, click.Option) and p.name in MEASURING]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--baseline", "old", "--fail-on-regression", "5%"),
        ("--allow-load", "0.2"),
        ("--results", "there"),
        ("--report", "page.html"),
        ("--set-governor", "performance"),
        ("--dry-run", "--seconds", "3"),
    ],
)
def test_a_gate_without_a_measurement_is_a_mistake(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        deploy_remote.main(list(arguments), standalone_mode=False)
    assert refused.value.reason == "no-bench"
