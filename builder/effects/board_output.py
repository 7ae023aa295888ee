"""What a command on a board says, kept within bounds."""

from __future__ import annotations

from collections.abc import Callable

from builder.effects.board_failures import endless
from builder.model.device import Completed


class BoundedOutput:
    """Standard output and standard error so far, together at most ``limit_bytes``.

    ``command`` names it in a failure; ``on_stdout`` sees each piece of standard output, which is
    not kept where ``keep_stdout`` is False.
    """

    def __init__(
        self,
        command: str,
        limit_bytes: int,
        on_stdout: Callable[[bytes], None] | None,
        *,
        keep_stdout: bool = True,
    ) -> None:
        self._command = command
        self._limit_bytes = limit_bytes
        self._left = limit_bytes
        self._on_stdout = on_stdout
        self._keep_stdout = keep_stdout
        self._stdout: list[bytes] = []
        self._stderr: list[bytes] = []

    @property
    def command(self) -> str:
        """What a failure calls the command."""
        return self._command

    def add_stdout(self, piece: bytes) -> None:
        """Keep a piece. Raises ``DeviceLost`` (``endless-output``) beyond the limit."""
        self._count(piece)
        if self._keep_stdout:
            self._stdout.append(piece)
        if self._on_stdout is not None:
            self._on_stdout(piece)

    def add_stderr(self, piece: bytes) -> None:
        """Keep a piece. Raises ``DeviceLost`` (``endless-output``) beyond the limit."""
        self._count(piece)
        self._stderr.append(piece)

    def completed(self, status: int) -> Completed:
        """Return the command's end."""
        return Completed(
            status=status, stdout=b"".join(self._stdout), stderr=b"".join(self._stderr)
        )

    def _count(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise endless(self._command, self._limit_bytes)
