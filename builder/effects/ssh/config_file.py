"""Reading one ssh_config file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from builder.effects.ssh.directives import Directive, malformed, parse
from builder.errors import UsageError


def read_config(path: Path, *, owned: bool) -> tuple[Directive, ...]:
    """Return the lines of a file, none where it does not exist.

    Raises ``UsageError``: ``ssh-config``, and ``ssh-config-permissions`` for an ``owned`` file, the
    user's, that others can write.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            if owned:
                _check_owner(path, os.fstat(file.fileno()))
            return tuple(parse(file.read(), str(path)))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise malformed(str(path), f"cannot be read: {error.strerror}") from error


def _check_owner(path: Path, status: os.stat_result) -> None:
    # What others can write could run their commands: ssh refuses such a file too.
    trusted = status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022
    if not trusted and stat.S_ISREG(status.st_mode):
        raise UsageError(
            "other users can change this file",
            reason="ssh-config-permissions",
            where=str(path),
            why="it may name commands to run",
            remedy=f"chmod go-w {path}",
        )
