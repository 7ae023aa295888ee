"""What a board's commands say when they fail, as its C libraries and busybox spell it."""

from __future__ import annotations

_REASONS = {
    "no space left on device": "no-space",
    "quota exceeded": "no-space",
    "file too large": "no-space",
    "read-only file system": "read-only",
    "permission denied": "no-permission",
    "operation not permitted": "no-permission",
    "too many levels of symbolic links": "planted-link",
    "no such file or directory": "no-folder",
    "nonexistent directory": "no-folder",
    "directory nonexistent": "no-folder",
    "not a directory": "no-folder",
    "is a directory": "not-a-file",
    "text file busy": "file-busy",
}


def reason_in(complaint: str) -> str | None:
    """Return the reason that a complaint speaks of, None where its words are not known."""
    lower = complaint.lower()
    return next((reason for words, reason in _REASONS.items() if words in lower), None)
