"""How much one run of a model may cost before it is refused as too costly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """Arithmetic ``operations`` of one run, and the bytes that its values hold at once."""

    operations: int = 2 * 10**12
    memory_bytes: int = 8 << 30


DEFAULT_LIMITS = ModelLimits()
"""Twenty times what the largest detectors for boards compute; minutes on one core."""
