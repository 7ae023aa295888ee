"""What the audit finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that is wrong: a stable rule name, a sentence, and what it names where it does.

    ``library`` is the file the symbol comes from; ``objects`` are those of the link that want it.
    """

    rule: str
    what: str
    symbol: str | None = None
    library: str | None = None
    objects: tuple[str, ...] = ()
