"""How values read for people: untrusted text made harmless, sizes, errors, failures."""

from __future__ import annotations

import math

from builder.errors import BoardwrightError
from builder.model.artifact import Verification


def safe(text: str) -> str:
    """Return ``text`` on one line; what could steer a terminal becomes ``?``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


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
