"""A board behind adb, as a transport."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from builder.effects import shell_files
from builder.effects.adb.shell import AdbShell
from builder.effects.board_output import BoundedOutput
from builder.model.device import Completed


class AdbBoard:
    """A ``Transport`` over adb. Files go through the shell: adb's own push cannot go on where it
    stopped, and names no cause.
    """

    def __init__(self, shell: AdbShell) -> None:
        self._shell = shell

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        on_stdout: Callable[[bytes], None] | None = None,
        limit_bytes: int = 1 << 20,
        timeout_s: float = 60.0,
    ) -> Completed:
        """See ``Transport.run``."""
        output = BoundedOutput(shlex.join(command), limit_bytes, on_stdout)
        return self._shell.execute(command, output, stdin=stdin, timeout_s=timeout_s)

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        """See ``Transport.put``."""
        shell_files.write(self._shell.execute, source, path, offset, on_sent)

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        """See ``Transport.get``."""
        return shell_files.read(self._shell.execute, path, sink, limit_bytes)
