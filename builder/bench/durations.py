"""How a time reads."""

from __future__ import annotations


def duration(microseconds: float | None) -> str:
    """Return a time in the unit that suits it: ``812 us``, ``5.31 ms``, ``1.20 s``."""
    if microseconds is None:
        return "-"
    for limit, unit in ((1e3, "us"), (1e6, "ms")):
        if microseconds < limit:
            return f"{microseconds * 1e3 / limit:.4g} {unit}"
    return f"{microseconds / 1e6:.4g} s"
