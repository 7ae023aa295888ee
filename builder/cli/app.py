"""The command itself: verbs that are imported when used, and one way out for every failure."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click
from click.shell_completion import CompletionItem, shell_complete

from builder import __version__
from builder.cli.failure import as_failure, tell
from builder.errors import UsageError

VERBS = {
    "init": "Write boardwright.yaml for MODEL in this folder.",
    "check": "Say whether MODEL can be built and what it needs, or name every node that cannot.",
    "build": "Build MODEL for one or more targets.",
    "tune": "Measure which tiles of MODEL's kernels are the fastest, here or on a device.",
    "bisect": "Find the ONNX node of MODEL where the numbers of DUMP go wrong.",
    "run": "Run BUNDLE here, natively or under qemu.",
    "deploy-remote": "Build what devices need, bring it there, check and switch.",
    "status": "Show what runs on devices.",
    "rollback": "Let devices run an earlier release again.",
    "bench": "Measure BUNDLE on this machine, or what is deployed on devices.",
    "report": "Write a page about the measurements in RESULT files.",
    "matrix": "Print the jobs of this project for CI.",
    "summary": "Say how builds and deployments went, as Markdown and JUnit XML.",
    "devices": "List devices, and ask them what they are.",
    "targets": "List, show and check targets.",
    "cache": "Show or trim the build cache.",
    "doctor": "Say what is installed, what is missing and what mends it.",
}
"""Verb to what it does. Each lives in a module of its name, _ for -, that has a ``command``."""

_COMPLETION = "_BOARDWRIGHT_COMPLETE"
_BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended


class _Verbs(click.Group):
    """A group that imports a verb's module only to run it: ``--help`` must not cost a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command = import_module(f"builder.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the verbs and options that begin with ``incomplete``; no verb is imported."""
        verbs = [
            CompletionItem(verb, help=does)
            for verb, does in VERBS.items()
            if verb.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="boardwright")
def boardwright() -> None:
    """One ONNX model in; one native, self-contained, verified bundle per board out."""


def run(argv: Sequence[str] | None = None) -> int:
    """Run the verb that ``argv`` names and return the exit code; never raises, never exits."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _never_fail_to_print()
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return _BROKEN_PIPE
    except (Exception, KeyboardInterrupt) as error:
        return tell(as_failure(error), as_json=_wants_json(arguments), debug=_debugging())
    return code


def _invoke(arguments: list[str]) -> int:
    # Not ``boardwright.main``: it exits by itself when the reader of its output has gone.
    if wish := os.environ.get(_COMPLETION):
        return _complete(wish)
    try:
        with boardwright.make_context("boardwright", arguments) as context:
            return boardwright.invoke(context) or 0
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.exceptions.NoArgsIsHelpError as bare:
        bare.show()
        return bare.exit_code


def _complete(wish: str) -> int:
    """Do what a shell asks for: the script to source, or the words that could come next."""
    code = shell_complete(boardwright, {}, "boardwright", _COMPLETION, wish)
    if code:
        raise UsageError(
            f"{wish!r} is no completion that can be made",
            reason="usage",
            where=_COMPLETION,
            remedy="set it to bash_source, zsh_source or fish_source",
        )
    return code


def _wants_json(arguments: Sequence[str]) -> bool:
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own


def _debugging() -> bool:
    return bool(os.environ.get("BOARDWRIGHT_DEBUG"))


def _never_fail_to_print() -> None:
    # A model's name may hold what the terminal's encoding lacks.
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    # What is still buffered has no reader: without this the interpreter complains while exiting.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
