"""Floats that become addresses: whatever they are, infinite or NaN, they end inside an array."""

from __future__ import annotations

from typing import Any

from tvm import tirx


def between(value: Any, low: float, high: float, dtype: str) -> Any:
    """Return a float moved into [low, high]; NaN becomes ``low``."""
    least, most = tirx.const(low, dtype), tirx.const(high, dtype)
    raised = tirx.Select(value > least, value, least)
    return tirx.Select(raised < most, raised, most)
