"""What can go wrong between this machine and a board, in the words of every transport."""

from __future__ import annotations

import errno

from builder.deploy.complaints import reason_in
from builder.errors import DeviceLost, DeviceRefused

_BY_ERRNO = {
    errno.ENOSPC: "no-space",
    errno.EDQUOT: "no-space",
    errno.EFBIG: "no-space",
    errno.EROFS: "read-only",
    errno.EACCES: "no-permission",
    errno.EPERM: "no-permission",
    errno.ELOOP: "planted-link",
    errno.ENOENT: "no-folder",
    errno.ENOTDIR: "no-folder",
    errno.EISDIR: "not-a-file",
    errno.ENXIO: "not-a-file",
    errno.ETXTBSY: "file-busy",
}
_WHAT = {
    "no-space": "no space is left on the board",
    "read-only": "the file system is mounted read-only",
    "no-permission": "the board's user may not do that",
    "planted-link": "a symbolic link is in the place of the file",
    "no-folder": "the folder does not exist",
    "no-file": "there is no such file",
    "not-a-file": "what is there is not a regular file",
    "file-busy": "the file is a program that is running",
    "refused": "the board cannot use the file",
}
_SHOWN_CHARACTERS = 200


def reason_by_errno(code: int | None) -> str:
    """Return the reason for an error number, ``refused`` where it says nothing to us."""
    return _BY_ERRNO.get(code or 0, "refused")


def reason_by_words(complaint: bytes) -> str:
    """Return the reason in what a board's command wrote to standard error, else ``refused``."""
    return reason_in(complaint.decode("utf-8", "replace")) or "refused"


def shown(text: str) -> str | None:
    """Return text that may be a board's on one line, shortened and escaped, or None for none."""
    line = text.strip().encode("unicode_escape").decode("ascii")
    if len(line) > _SHOWN_CHARACTERS:
        line = line[: _SHOWN_CHARACTERS - 1] + "…"
    return line or None


def refused(path: str, reason: str, *, why: str | None = None) -> DeviceRefused:
    """Return the failure for a file that a board will not take or give."""
    return DeviceRefused(_WHAT[reason], reason=reason, where=path, why=shown(why or ""))


def link_lost(where: str, why: str | None = None) -> DeviceLost:
    """Return the failure for a link that died under a verb."""
    return DeviceLost(
        "the link to the board is lost",
        reason="link-lost",
        where=where,
        why=shown(why or ""),
        remedy="check its power and network, then run the same command again",
    )


def timed_out(what: str, timeout_s: float) -> DeviceLost:
    """Return the failure for a command or a transfer that did not end in time."""
    return DeviceLost(f"did not end within {timeout_s:g} s", reason="timeout", where=shown(what))


def endless(what: str, limit_bytes: int) -> DeviceLost:
    """Return the failure for a board that says more than was asked for."""
    return DeviceLost(
        f"the board sent more than {limit_bytes} bytes", reason="endless-output", where=shown(what)
    )
