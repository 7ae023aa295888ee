"""How any exception becomes one line, one JSON document and an exit code."""

from __future__ import annotations

import json
import sys
import traceback

import click

from builder.broken_environment import import_failure
from builder.errors import BoardwrightError, BuildFailed, Interrupted, UsageError
from builder.report.wording import failure_lines, json_without_commands, safe


def as_failure(error: BaseException) -> BoardwrightError:
    """Return ``error`` as a failure of the catalogue; what nobody foresaw is ``internal``."""
    if not isinstance(error, BoardwrightError) and (broken := import_failure(error)):
        broken.__cause__ = error
        return broken
    match error:
        case BoardwrightError():
            return error
        case click.ClickException():
            return _usage(error)
        case KeyboardInterrupt() | click.Abort():
            return Interrupted("stopped", reason="interrupted")
        case OSError():
            from builder.executor.perform import disk_failure

            failure: BoardwrightError = disk_failure(error)
        case _:
            failure = BuildFailed(
                f"internal error: {type(error).__name__}: {error}",
                reason="internal",
                remedy="please report it; run with BOARDWRIGHT_DEBUG=1 for the traceback",
            )
    failure.__cause__ = error
    return failure


def tell(failure: BoardwrightError, *, as_json: bool, debug: bool) -> int:
    """Print a failure, as JSON on stdout or as a line on stderr, and return its exit code."""
    if debug:
        traceback.print_exception(failure)
    if as_json:
        document = {"status": "failed", "error": failure.to_json()}
        print(json_without_commands(json.dumps(document, indent=2)), flush=True)
    else:
        say(failure)
    return failure.exit_code


def say(failure: BoardwrightError) -> None:
    """Print a failure for people, on stderr."""
    for line in failure_lines(failure):
        print(line, file=sys.stderr)


def warn(failure: BoardwrightError) -> None:
    """Print a failure that ends nothing, on stderr."""
    print(safe(f"warning: {failure}"), file=sys.stderr)


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    verb = context.command_path if context else "boardwright"
    return UsageError(
        error.format_message().rstrip("."),
        reason="usage",
        remedy=f"see: {verb} --help",
    )
