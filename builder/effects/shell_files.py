"""Files through the board's shell: reading one, writing where there is no SFTP, asking for a cause.

Every script takes its paths as arguments and runs under dash, bash and busybox.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Protocol

from builder.effects.board_failures import endless, reason_by_words, refused
from builder.effects.board_output import BoundedOutput
from builder.errors import DeviceLost, DeviceRefused
from builder.model.device import Completed

_NOT_A_FILE, _LINK = 91, 92
_STATUSES = {_NOT_A_FILE: "not-a-file", _LINK: "planted-link"}

_READ = f"""
[ ! -e "$1" ] || [ -f "$1" ] || exit {_NOT_A_FILE}
printf %s "$2"
LC_ALL=C exec cat "$1"
"""

_GUARD = f"""
[ ! -L "$1" ] || exit {_LINK}
[ ! -e "$1" ] || [ -f "$1" ] || exit {_NOT_A_FILE}
umask 077
LC_ALL=C
export LC_ALL
: >> "$1" || exit 1
"""

_WRITE = f"""{_GUARD}
dd if=/dev/null of="$1" bs=1 count=0 seek="$2" || exit 1
exec cat >> "$1"
"""

# Does again what failed, on a file beside it: its bytes are not to be touched.
_ASK = f"""{_GUARD}
beside="$1.$2"
set -C
: > "$beside" || exit 1
set +C
dd if=/dev/zero of="$beside" bs=4096 count=1
status=$?
rm -f "$beside"
exit $status
"""

_PIECE_BYTES = 32_000  # what one packet of every SSH server can hold beside its headers
_LONGEST_S = 86_400.0
_ASK_S = 30.0
_NOISE_BYTES = 1 << 16


class Execute(Protocol):
    """Runs an argv on a board, as ``Transport.run`` does; what it says goes to ``output``."""

    def __call__(
        self,
        command: Sequence[str],
        output: BoundedOutput,
        *,
        stdin: Iterable[bytes],
        timeout_s: float,
    ) -> Completed: ...


def read(execute: Execute, path: str, sink: BinaryIO, limit_bytes: int) -> int:
    """See ``Transport.get``. What a shell's start files print comes before the mark and is lost."""
    mark = secrets.token_hex(16)
    file = _AfterMark(mark.encode(), path, sink, limit_bytes)
    output = BoundedOutput(path, limit_bytes + _NOISE_BYTES, file.add, keep_stdout=False)
    done = _script(execute, _READ, (path, mark), output)
    if done.status:
        raise _refusal(path, done, missing="no-file")
    return file.size()


def write(
    execute: Execute,
    source: BinaryIO,
    path: str,
    offset: int,
    on_sent: Callable[[int], None] | None,
) -> None:
    """See ``Transport.put``: the way to a board without SFTP."""
    output = BoundedOutput(path, _NOISE_BYTES, None)
    pieces = _pieces(source, on_sent)
    done = _script(execute, _WRITE, (path, str(offset)), output, stdin=pieces)
    if done.status:
        raise _refusal(path, done, missing="no-folder")


def cause(execute: Execute, path: str) -> DeviceRefused | None:
    """Return why a file cannot be written, or None where all goes well by now."""
    output = BoundedOutput(path, _NOISE_BYTES, None)
    beside = secrets.token_hex(4)
    done = _script(execute, _ASK, (path, beside), output, timeout_s=_ASK_S)
    return _refusal(path, done, missing="no-folder") if done.status else None


def _script(
    execute: Execute,
    script: str,
    arguments: tuple[str, ...],
    output: BoundedOutput,
    *,
    stdin: Iterable[bytes] = (),
    timeout_s: float = _LONGEST_S,
) -> Completed:
    command = ("sh", "-c", script, "sh", *arguments)
    return execute(command, output, stdin=stdin, timeout_s=timeout_s)


def _pieces(source: BinaryIO, on_sent: Callable[[int], None] | None) -> Iterator[bytes]:
    sent = 0
    while piece := source.read(_PIECE_BYTES):
        yield piece
        sent += len(piece)
        if on_sent is not None:
            on_sent(sent)


def _refusal(path: str, done: Completed, *, missing: str) -> DeviceRefused:
    reason = _STATUSES.get(done.status) or reason_by_words(done.stderr)
    if reason == "no-folder":
        reason = missing
    return refused(path, reason, why=done.stderr.decode("utf-8", "replace"))


class _AfterMark:
    """Passes on to ``sink`` what follows ``mark``, at most ``limit_bytes`` of it."""

    def __init__(self, mark: bytes, path: str, sink: BinaryIO, limit_bytes: int) -> None:
        self._mark = mark
        self._path = path
        self._sink = sink
        self._limit_bytes = limit_bytes
        self._noise = b""
        self._size_bytes: int | None = None

    def add(self, piece: bytes) -> None:
        """Take a piece of output. Raises ``DeviceLost`` (``endless-output``)."""
        if self._size_bytes is None:
            self._noise += piece
            _, found, piece = self._noise.partition(self._mark)
            if not found:
                return
            self._size_bytes = 0
        self._size_bytes += len(piece)
        if self._size_bytes > self._limit_bytes:
            raise endless(self._path, self._limit_bytes)
        self._sink.write(piece)

    def size(self) -> int:
        """Return the bytes passed on. Raises ``DeviceLost`` (``garbled-output``) without a mark."""
        if self._size_bytes is None:
            raise DeviceLost(
                "the board's shell does not do what it is told",
                reason="garbled-output",
                where=self._path,
            )
        return self._size_bytes
