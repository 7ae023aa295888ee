"""The environment of a measurement, as facts with names."""

from __future__ import annotations

from collections.abc import Iterable

from builder.bench.conditions import Conditions
from builder.bench.result import Block, Measurement

Fact = tuple[str, str]
"""A name and what is known of it."""


def facts(measurement: Measurement) -> tuple[Fact, ...]:
    """Return what is known of where, on what and how a measurement was taken."""
    blocks = measurement.blocks
    known = [*_subject(measurement), *_board(measurement), *_pace(measurement)]
    if blocks:
        known += _conditions(blocks)
    return tuple((name, text) for name, text in known if text)


def _subject(measurement: Measurement) -> list[Fact]:
    subject = measurement.subject
    return [
        ("bundle", subject.sha256[:16]),
        ("release", subject.release or ""),
        ("kernels for", subject.kernels),
    ]


def _board(measurement: Measurement) -> list[Fact]:
    board = measurement.board
    return [
        ("CPU", board.cpu),
        ("machine", f"{board.machine}, {board.cores} cores"),
        ("kernel", board.kernel),
    ]


def _pace(measurement: Measurement) -> list[Fact]:
    pace = measurement.pace
    runs = f"{pace.blocks} blocks, at least {pace.min_runs} runs and {pace.min_seconds:g} s in all"
    if pace.sustained_minutes:
        runs = f"sustained for {pace.sustained_minutes} min"
    return [
        ("pinned to cores", ", ".join(map(str, pace.cores)) or "none"),
        ("measured", f"{runs}; {pace.warmup} runs of warm-up in each block"),
        ("governor asked for", pace.governor or ""),
    ]


def _conditions(blocks: tuple[Block, ...]) -> list[Fact]:
    first, last = blocks[0].before, blocks[-1].after
    others = [block.others_cores for block in blocks if block.others_cores is not None]
    return [
        ("boot", first.boot_id or "not known"),
        ("governor", _distinct(core.governor for core in first.cores)),
        ("frequency before", _frequencies(first)),
        ("frequency after", _frequencies(last)),
        ("other clocks before", _clocks(first)),
        ("other clocks after", _clocks(last)),
        ("temperature before", _temperatures(first)),
        ("temperature after", _temperatures(last)),
        ("throttling after", _throttles(last)),
        ("power mode", first.power_mode or ""),
        ("on battery", {None: "", True: "yes", False: "no"}[first.on_battery]),
        ("others kept busy", f"{max(others):.2f} cores at most" if others else "not known"),
    ]


def _frequencies(moment: Conditions) -> str:
    texts = (
        f"{core.current_khz / 1e6:.2f} GHz ({_ghz(core.min_khz)} to {_ghz(core.max_khz)})"
        for core in moment.cores
        if core.current_khz is not None
    )
    return _distinct(texts)


def _clocks(moment: Conditions) -> str:
    return ", ".join(f"{clock.name} {clock.khz / 1e6:.2f} GHz" for clock in moment.clocks)


def _ghz(khz: int | None) -> str:
    return "?" if khz is None else f"{khz / 1e6:.2f}"


def _temperatures(moment: Conditions) -> str:
    return ", ".join(f"{zone.zone} {zone.celsius:.1f} °C" for zone in moment.temperatures)


def _throttles(moment: Conditions) -> str:
    return ", ".join(
        f"{t.name} {t.value:#x}" if t.kind == "firmware" else f"{t.name} {t.value}"
        for t in moment.throttles
    )


def _distinct(texts: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))
