"""A board within reach: its scripts, asked with a nonce and answered in bounded, framed text."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from builder.boards.commands import called, refuse_cancelled, silence
from builder.boards.scripts import script_text
from builder.deploy.replies import Replies, parse_replies
from builder.model.device import Completed
from builder.ports import Transport

Nonce = Callable[[], str]
"""Gives a word that no board can foresee."""

_ANSWER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board and the folder on it that is ours. ``name`` is what the user calls it.

    ``root`` may begin with ``~/``. ``cancel`` ends the work before the next thing is asked, and
    programs at once; a script that changes the board ends by itself. ``allow_exposed`` takes a root
    that other users may change.
    """

    name: str
    transport: Transport
    root: str
    nonce: Nonce
    cancel: threading.Event
    allow_exposed: bool = False

    def command(self, script: str, nonce: str, *arguments: str) -> tuple[str, ...]:
        """Return the argv that runs a script of ``templates/device`` on the board."""
        return ("sh", "-c", script_text(script), "boardwright", nonce, self.root, *arguments)

    def ask(
        self,
        script: str,
        *arguments: str,
        lines: Iterable[str] = (),
        timeout_s: float = 120.0,
    ) -> Replies:
        """Run a script with ``lines`` on its standard input and return its answer.

        Raises what ``parse_replies`` and the transport raise.
        """
        self.go_on()
        nonce = self.nonce()
        with called(f"{self.name}: {script}"):
            completed = self.transport.run(
                self.command(script, nonce, *arguments),
                stdin=_encoded(lines),
                limit_bytes=_ANSWER_BYTES,
                timeout_s=timeout_s,
            )
        return parse_replies(completed.stdout, nonce, where=self.name)

    def run(self, command: Sequence[str], *, timeout_s: float) -> Completed:
        """Run a program of the board that reads no input; ``cancel`` ends it."""
        self.go_on()
        where = f"{self.name}: {command[0].rpartition('/')[2]}"
        with called(where), silence(self.cancel, self.name) as stdin:
            return self.transport.run(command, stdin=stdin, timeout_s=timeout_s)

    def read(self, path: str, *, limit_bytes: int) -> bytes:
        """Return the content of a file of the board, of at most ``limit_bytes``."""
        self.go_on()
        sink = io.BytesIO()
        self.transport.get(path, sink, limit_bytes=limit_bytes)
        return sink.getvalue()

    def hash(self, path: str, *, limit_bytes: int) -> str:
        """Return the SHA-256 of a file, reading it over the link: for boards that cannot hash."""
        self.go_on()
        sink = _Hashing()
        self.transport.get(path, sink, limit_bytes=limit_bytes)
        return sink.hexdigest()

    def go_on(self) -> None:
        """Raise ``Interrupted`` when the work is to stop."""
        refuse_cancelled(self.cancel, self.name)


def _encoded(lines: Iterable[str]) -> tuple[bytes, ...]:
    text = "".join(f"{line}\n" for line in lines)
    return (text.encode("ascii"),) if text else ()


class _Hashing(io.BytesIO):
    """A sink that keeps nothing but the hash of what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self._digest = hashlib.sha256()

    def write(self, content: object, /) -> int:
        view = memoryview(content)  # type: ignore[arg-type]
        self._digest.update(view)
        return view.nbytes

    def hexdigest(self) -> str:
        return self._digest.hexdigest()
