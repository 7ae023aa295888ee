"""What a script on a board answered: framed by a nonce, bounded, escaped, never trusted.

A login shell may print banners and a hostile board anything. Only lines that begin with the nonce
of this very call count, and an answer without its last line is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.deploy.complaints import reason_in
from builder.errors import BoardwrightError, DeviceBusy, DeviceLost, DeviceRefused, IntegrityError

LONGEST_VALUE = 4096
"""Characters of one value that are kept."""

UNCHANGED = "what the board runs has not changed"
"""What most failures leave."""

_KEY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,31}")
_REFUSALS = {
    "planted-link": "a symbolic link, or something else that is not ours, is in the way",
    "foreign-folder": "the folder belongs to another user",
    "no-folder": "the folder is not there",
    "no-permission": "the board's user may not use the folder",
    "no-space": "no space is left on the board",
    "read-only": "the file system is read-only",
    "missing": "a file of the board's store is gone",
    "failed": "a command on the board failed",
}
_REMEDIES = {
    "planted-link": "look at it on the board and remove it, or give the device another root",
    "foreign-folder": "log in as its owner, or give the device another root",
    "no-permission": "make the folder writable on the board, or give the device another root",
    "no-space": "free some space on the board, or keep fewer releases (keep: N)",
    "read-only": "remount it writable, or give the device a root elsewhere",
    "missing": "run the same command again: what is missing is sent again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """The lines of one answer as (key, value), in order; values are printable ASCII."""

    lines: tuple[tuple[str, str], ...]

    def first(self, key: str) -> str | None:
        """Return the first value of ``key``, None where there is none or it is empty."""
        return next((value for k, value in self.lines if k == key and value), None)

    def all(self, key: str) -> tuple[str, ...]:
        """Return every value of ``key``, in order."""
        return tuple(value for k, value in self.lines if k == key)


def parse_line(line: bytes, nonce: str) -> tuple[str, str] | None:
    """Return the key and the value of one line of an answer, or None for any other line."""
    text = line.decode("utf-8", "replace")
    frame, _, rest = text.partition(" ")
    key, _, value = rest.partition(" ")
    if frame != nonce or not _KEY.fullmatch(key):
        return None
    return key, _escaped(value.strip())


def parse_replies(output: bytes, nonce: str, *, where: str) -> Replies:
    """Return the answer in ``output``.

    Raises what the script refused (see ``refusal``), and ``DeviceLost`` ``garbled-output`` where
    the answer's end is missing.
    """
    lines = tuple(filter(None, (parse_line(line, nonce) for line in output.split(b"\n"))))
    replies = Replies(lines=lines)
    if not lines or lines[-1][0] != "end":
        raise garbled(where, output)
    if (refused := replies.first("refused")) is not None:
        raise refusal(refused, where=where)
    return replies


def refusal(said: str, *, where: str) -> BoardwrightError:
    """Return the failure for what a script refused: a reason, and what it is about."""
    slug, _, about = said.partition(" ")
    if slug == "lock-lost":
        return lock_lost(where)
    reason = slug if slug in _REFUSALS else "failed"
    if reason == "failed":
        known = reason_in(about)
        reason = known if known in _REFUSALS else reason
    return DeviceRefused(
        _REFUSALS[reason],
        reason=reason,
        where=where,
        why=about or None,
        state=UNCHANGED,
        remedy=_REMEDIES.get(reason),
    )


def lock_lost(where: str) -> DeviceBusy:
    """Return the failure of one whose lock has gone to somebody else."""
    return DeviceBusy(
        "the board's lock was lost to somebody else",
        reason="lock-lost",
        where=where,
        state=UNCHANGED,
        remedy="run the same command again",
    )


def garbled(where: str, output: bytes) -> DeviceLost:
    """Return the failure for an answer that is none."""
    return DeviceLost(
        "the board's answer makes no sense",
        reason="garbled-output",
        where=where,
        why=_shown(output),
        remedy="log in by hand and see whether sh runs there",
    )


def broken_answer(where: str, what: str) -> DeviceLost:
    """Return the failure for an answer that is framed well and says what cannot be."""
    return DeviceLost(f"the board's answer cannot be: {what}", reason="garbled-output", where=where)


def wrong_hash(where: str, name: str) -> IntegrityError:
    """Return the failure for a file that hashes to something else on the board, twice."""
    return IntegrityError(
        "the file has another hash on the board than in the bundle",
        reason="transfer-damaged",
        where=f"{where}: {name}",
        state=UNCHANGED,
        remedy="build again, and check the board's storage if it stays so",
    )


def escaped(text: str) -> str:
    """Return a board's text as printable ASCII of bounded length."""
    return _escaped(text)


def _escaped(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        value = value.encode("unicode_escape").decode("ascii")
    return value[:LONGEST_VALUE]


def _shown(output: bytes) -> str | None:
    text = output.decode("utf-8", "replace").strip()
    return "it said: " + _escaped(text)[:200] if text else "it said nothing"
