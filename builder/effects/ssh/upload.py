"""Writing a file on a board by pipelined SFTP."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import paramiko
from paramiko.sftp import SFTPError

from builder.effects.board_failures import link_lost, reason_by_errno, refused, timed_out
from builder.effects.ssh.commands import PIECE_BYTES
from builder.effects.ssh.wire import BROKEN
from builder.errors import BoardwrightError

STALL_S = 60.0
"""How long a board may take over one answer, say while its card erases blocks."""

UNANSWERED_BYTES = 30 * PIECE_BYTES
"""How much may be under way unanswered: at most so much is sent again after a link died."""

# Beside a dead link: answers out of order, or in no encoding, of a server gone wrong.
_FAILURES = (*BROKEN, SFTPError, ValueError)

Sent = Callable[[int], None] | None


def upload(
    sftp: paramiko.SFTPClient, where: str, source: BinaryIO, path: str, offset: int, on_sent: Sent
) -> None:
    """See ``Transport.put``. ``DeviceRefused`` is ``refused`` where the server gave no cause."""
    with _told_apart(sftp, path, where):
        file = _opened(sftp, path)
        file.truncate(offset)
        file.seek(offset)
    sent = answered = 0
    for piece, last in _pieces(source):
        sent += len(piece)
        # A write that is not pipelined waits for the answers to all before it. So must the last
        # one: closing a pipelined file drops those that are still to come.
        waits = last or sent - answered >= UNANSWERED_BYTES
        with _told_apart(sftp, path, where):
            file.set_pipelined(not waits)
            file.write(piece)
        if waits:
            answered = sent
        if on_sent is not None:
            on_sent(sent)
    with _told_apart(sftp, path, where):
        file.close()


@contextmanager
def _told_apart(sftp: paramiko.SFTPClient, path: str, where: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise _failure(sftp, error, path, where) from error


def _opened(sftp: paramiko.SFTPClient, path: str) -> paramiko.SFTPFile:
    try:
        found = sftp.lstat(path)
    except FileNotFoundError:
        # x: a link planted since then is not followed.
        file = sftp.open(path, "wxb")
        file.chmod(0o600)
        return file
    mode = found.st_mode or 0
    if stat.S_ISLNK(mode):
        raise refused(path, "planted-link")
    if not stat.S_ISREG(mode):
        raise refused(path, "not-a-file")
    return sftp.open(path, "r+b")


def _pieces(source: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece and whether it is the last one."""
    piece = source.read(PIECE_BYTES)
    while piece:
        following = source.read(PIECE_BYTES)
        yield piece, not following
        piece = following


def _failure(
    sftp: paramiko.SFTPClient, error: Exception, path: str, where: str
) -> BoardwrightError:
    channel = sftp.get_channel()
    if isinstance(error, TimeoutError):
        return timed_out(path, STALL_S)
    if channel is None or channel.closed or not isinstance(error, OSError):
        return link_lost(where, str(error) or None)
    return refused(path, reason_by_errno(error.errno), why=error.strerror or str(error) or None)
