"""What a board is, for people and for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from builder.deploy.facts import DeviceFacts
from builder.report.summary import aligned
from builder.report.wording import byte_size, safe

_NOT_FOR_PEOPLE = 72
"""Characters of a value beyond which a line is cut: CPU features fill a screen."""


def facts_to_json(facts: DeviceFacts) -> dict[str, Any]:
    """Return the facts as the data that ``devices probe --json`` prints."""
    fields = dataclasses.asdict(facts)
    now, least, most = facts.frequency_khz
    return fields | {
        "glibc": _dotted(facts.glibc),
        "loaders": list(facts.loaders),
        "features": sorted(facts.features),
        "frequency_khz": {"now": now, "least": least, "most": most},
        "mount": facts.mount
        and {"point": facts.mount.point, "options": sorted(facts.mount.options)},
        "clocks": [dataclasses.asdict(clock) for clock in facts.clocks],
        "sensors": [dataclasses.asdict(sensor) for sensor in facts.sensors],
        "tools": list(facts.tools),
    }


def facts_lines(facts: DeviceFacts) -> list[str]:
    """Return the facts as aligned lines; what is not known is left out."""
    rows = [("  " + key, safe(value)[:_NOT_FOR_PEOPLE]) for key, value in _rows(facts) if value]
    return aligned(rows)


def _rows(facts: DeviceFacts) -> Iterator[tuple[str, str | None]]:
    yield "board", facts.board
    yield "machine", facts.machine
    yield "system", facts.os
    yield "kernel", facts.kernel
    yield "glibc", _dotted(facts.glibc)
    yield "loaders", " ".join(facts.loaders)
    yield "android api", str(facts.android_api or "")
    yield "L4T", facts.l4t
    yield "cores", str(facts.cores or "")
    yield "cpu features", " ".join(sorted(facts.features))
    yield "governor", facts.governor
    yield "frequency", _frequency(facts)
    yield "other clocks", " ".join(f"{c.name}={c.khz // 1000}MHz" for c in facts.clocks)
    yield "temperatures", " ".join(f"{s.name}={s.celsius:.1f}C" for s in facts.sensors)
    yield "throttled", facts.throttled
    yield "nvpmodel", facts.nvpmodel
    yield "memory", _of(facts.available_bytes, facts.memory_bytes)
    yield "root", f"{facts.root}{'' if facts.root_exists else ' (not there yet)'}"
    yield "disk", byte_size(facts.free_bytes) + " free" if facts.free_bytes is not None else None
    yield (
        "mount",
        " ".join((facts.mount.point, *sorted(facts.mount.options))) if facts.mount else "",
    )
    yield "user", facts.user
    yield "clock", facts.date
    yield "up", f"{facts.uptime_s} s" if facts.uptime_s is not None else None


def _dotted(version: tuple[int, ...] | None) -> str | None:
    return ".".join(map(str, version)) if version else None


def _frequency(facts: DeviceFacts) -> str | None:
    now, least, most = facts.frequency_khz
    if now is None:
        return None
    bounds = f" of {least // 1000} to {most // 1000}" if least and most else ""
    return f"{now // 1000}{bounds} MHz"


def _of(part: int | None, whole: int | None) -> str | None:
    if part is None or whole is None:
        return None
    return f"{byte_size(part)} free of {byte_size(whole)}"
