"""How values read for people: untrusted text made harmless, sizes, errors, failures."""

from __future__ import annotations

import math

from builder.errors import BoardwrightError
from builder.model.artifact import Verification

_COMMANDS = ("##[", "##vso[", "##teamcity[")
"""What CI services obey wherever it stands in a log (GitHub and Azure, Azure, TeamCity)."""


def safe(text: str) -> str:
    """Return ``text`` on one line that no CI obeys; what could steer a terminal becomes ``?``."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)
    return no_command(text)


def no_command(line: str) -> str:
    """Return a line with a space in what a CI service would take for a command to itself.

    GitHub obeys ``::warning::`` and its like where a line begins so, whatever space is before.
    GitLab needs control characters, which ``safe`` takes away.
    """
    if "##" in line:
        for command in _COMMANDS:
            line = line.replace(command, f"# {command[1:]}")
    text = line.lstrip()
    return f"{line[: len(line) - len(text)]}: {text[1:]}" if text.startswith("::") else line


def json_without_commands(document: str) -> str:
    """Return the same JSON with no line that a CI service obeys: one ``#`` of ``##`` is escaped."""
    return document.replace("##", "#\\u0023")


def byte_size(size_bytes: int) -> str:
    """Return a size in the largest unit that leaves a number of at least one: ``612 KiB``."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def max_error(verification: Verification) -> str:
    """Return the largest absolute error against ONNX Runtime, or ``-``."""
    error = verification.max_abs_error
    if error is None:
        return "-"
    return f"{error:.1e}" if math.isfinite(error) else "NaN"


def failure_lines(error: BoardwrightError) -> tuple[str, ...]:
    """Return a failure as one line of what, where, why and state, and one for the next command."""
    place = f"{error.where}: " if error.where else ""
    facts = "; ".join(part for part in (error.what, error.why, error.state) if part)
    headline = safe(f"error: {place}{facts}")
    return (headline, f"  {safe(error.remedy)}") if error.remedy else (headline,)
