"""The system's clock, as ``builder.ports.Clock``."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Time as it passes here."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def now_utc_iso(self) -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")
