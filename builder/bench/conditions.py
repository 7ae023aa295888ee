"""What state a board was in: the facts of ``templates/device/conditions.sh``, parsed.

A fact is a line of a name and words. What a board does not tell is None or absent. Lines that make
no sense are passed over: boards differ, and their text is never trusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

TEXT_LIMIT = 80
"""Characters of a board's text that are kept."""

_LINE_LIMIT = 4096  # facts of the largest server; more is garbage


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One online CPU core. Frequencies in kHz: now, the bounds set, and the hardware's highest.

    ``group`` are the cores that share one physical core with it (SMT), itself among them;
    ``busy_ticks`` is the time it was not idle since boot.
    """

    number: int
    governor: str | None = None
    current_khz: int | None = None
    min_khz: int | None = None
    max_khz: int | None = None
    limit_khz: int | None = None
    group: str | None = None
    busy_ticks: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The clock of something beside the cores, such as memory or a GPU."""

    name: str
    khz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """One thermal zone."""

    zone: str
    celsius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """One thing that tells of throttling.

    ``counter`` counts since boot, ``level`` is above zero while it throttles, ``firmware`` is a
    Raspberry Pi's word of flags (bits 0 to 3: now, bits 16 to 19: since boot).
    """

    name: str
    kind: str
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """A board at one moment. ``allowed`` are the cores that a command started there may use."""

    boot_id: str | None = None
    uptime_s: float | None = None
    ticks_per_s: int = 100
    allowed: tuple[int, ...] = ()
    cores: tuple[Core, ...] = ()
    clocks: tuple[Clock, ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    throttles: tuple[Throttle, ...] = ()
    power_mode: str | None = None
    on_battery: bool | None = None


def parse_conditions(text: str) -> Conditions:
    """Return the conditions that a snapshot states; an empty text states none."""
    facts = _Facts()
    for line in text.splitlines()[:_LINE_LIMIT]:
        name, _, rest = line.partition(" ")
        facts.take(name, rest.split())
    return facts.conditions()


def parse_cores(text: str) -> tuple[int, ...]:
    """Return the cores of a list such as ``0,2,4-7``. Raises ``ValueError``."""
    cores: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = int(first), int(last if dash else first)
        if not 0 <= low <= high < 8192:
            raise ValueError(f"no list of cores: {text!r}")
        cores += range(low, high + 1)
    return tuple(cores)


class _Facts:
    """Facts as they come, by what they are about."""

    def __init__(self) -> None:
        self._single: dict[str, str] = {}
        self._cores: dict[int, dict[str, str]] = {}
        self._clocks: list[Clock] = []
        self._zones: list[Temperature] = []
        self._throttles: list[Throttle] = []

    def take(self, name: str, words: list[str]) -> None:
        match name, words:
            case "core", [number, what, *value] if value and number.isdecimal():
                self._cores.setdefault(int(number[:4]), {})[what] = _text(value)
            case "clock", [value, *device]:
                if (hertz := _whole(value)) is not None:
                    self._clocks.append(Clock(name=_text(device) or "clock", khz=hertz // 1000))
            case "zone", [value, *zone]:
                self._zone(value, _text(zone) or "zone")
            case (("counter" | "level" | "firmware"), [value, *what]):
                self._throttle(name, value, _text(what) or name)
            case _, [_, *_]:
                self._single[name] = _text(words)

    def _zone(self, value: str, zone: str) -> None:
        milli = _whole(value)
        # A sensor that is switched off reports 0 or an absurd number.
        if milli is not None and -60_000 < milli < 250_000 and milli != 0:
            self._zones.append(Temperature(zone=zone, celsius=milli / 1000))

    def _throttle(self, kind: str, value: str, what: str) -> None:
        if (number := _whole(value)) is not None:
            self._throttles.append(Throttle(name=what, kind=kind, value=number))

    def conditions(self) -> Conditions:
        single = self._single
        battery = single.get("on-battery")
        return Conditions(
            boot_id=single.get("boot-id"),
            uptime_s=_real(single.get("uptime")),
            ticks_per_s=_whole(single.get("ticks")) or 100,
            allowed=_core_list(single.get("allowed")),
            cores=tuple(_core(n, facts) for n, facts in sorted(self._cores.items())),
            clocks=tuple(self._clocks),
            temperatures=tuple(self._zones),
            throttles=tuple(self._throttles),
            power_mode=single.get("power-mode"),
            on_battery=None if battery is None else battery == "1",
        )


def _core(number: int, facts: dict[str, str]) -> Core:
    return Core(
        number=number,
        governor=facts.get("governor"),
        current_khz=_whole(facts.get("current")),
        min_khz=_whole(facts.get("min")),
        max_khz=_whole(facts.get("max")),
        limit_khz=_whole(facts.get("limit")),
        group=facts.get("group"),
        busy_ticks=_whole(facts.get("busy")),
    )


def _text(words: Iterable[str]) -> str:
    joined = " ".join(words)
    return "".join(c if c.isprintable() else "?" for c in joined)[:TEXT_LIMIT]


def _whole(text: str | None) -> int | None:
    try:
        return int(text, 0) if text and len(text) <= 24 else None
    except ValueError:
        return None


def _real(text: str | None) -> float | None:
    try:
        number = float(text.split()[0][:24]) if text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _core_list(text: str | None) -> tuple[int, ...]:
    try:
        return parse_cores(text) if text else ()
    except ValueError:
        return ()
