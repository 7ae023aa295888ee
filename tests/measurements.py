"""Measurements as values, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from builder.bench import statistics
from builder.bench.conditions import Conditions, Core, Temperature, Throttle
from builder.bench.result import (
    Block,
    Board,
    Comparison,
    Estimate,
    KernelTime,
    Measurement,
    Pace,
    Problem,
    Rival,
    Subject,
)
from builder.bench.sustained import by_minute

MOMENT = Conditions(
    boot_id="0b9f7c52-8d8c-4d3c-9d7c-2f2a1c0c9f11",
    uptime_s=1000.0,
    allowed=(0, 1),
    cores=tuple(
        Core(
            number=number,
            governor="ondemand",
            current_khz=1_400_000,
            min_khz=600_000,
            max_khz=1_500_000,
            busy_ticks=5000,
        )
        for number in (0, 1)
    ),
    temperatures=(Temperature(zone="cpu-thermal", celsius=51.5),),
    throttles=(Throttle(name="get_throttled", kind="firmware", value=0x50000),),
    power_mode="MAXN",
)


def block(samples_us: Iterable[float], *, minute: int | None = None, **changes: Any) -> Block:
    """Return a block of these samples on a quiet board."""
    made = Block(
        minute=minute,
        latency_us=tuple(map(float, samples_us)),
        init_us=250.0,
        peak_rss_bytes=3 << 20,
        cpu_us=1000.0,
        wall_us=2000.0,
        others_cores=0.01,
        before=MOMENT,
        after=MOMENT,
    )
    return replace(made, **changes)


def measurement(
    level_us: float = 1000.0,
    *,
    device: str = "pi",
    model: str = "digits",
    target: str = "raspberry-pi-4",
    taken_utc: str = "2026-01-31T12:00:00+00:00",
    sha256: str = "a" * 64,
    threads: int = 1,
    minutes: int = 0,
    **changes: Any,
) -> Measurement:
    """Return a valid measurement whose median is about ``level_us``."""
    rng = np.random.default_rng(int(level_us))
    count = minutes or 5
    samples = [(level_us * rng.lognormal(0, 0.01, 250)).round(3) for _ in range(count)]
    blocks = tuple(
        block(values, minute=number if minutes else None)
        for number, values in enumerate(samples, 1)
    )
    made = Measurement(
        status="valid",
        taken_utc=taken_utc,
        subject=Subject(
            model=model, target=target, sha256=sha256, release=None, kernels="cortex-a72"
        ),
        board=Board(device=device, machine="aarch64", kernel="6.1.0", cpu="Cortex-A72", cores=4),
        pace=Pace(
            threads=threads,
            cores=tuple(range(threads)),
            warmup=5,
            min_runs=30,
            min_seconds=10.0,
            blocks=5,
            sustained_minutes=minutes,
            governor=None,
        ),
        latency=statistics.latency([b.latency_us for b in blocks]),
        cold_start_us=(5000.0, 4000.0, 4500.0),
        init_us=250.0,
        peak_rss_bytes=3 << 20,
        blocks=blocks,
        minutes=by_minute(blocks),
        kernels=(
            KernelTime(name="fused_conv2d", nodes=("/Conv_0", "/Relu_1"), mean_us=700, share=0.7),
            KernelTime(name="softmax", nodes=("/Softmax",), mean_us=300, share=0.3),
        ),
        problems=(),
        comparison=None,
        rivals=(),
    )
    return replace(made, **changes)


COMPARED = Comparison(
    verdict="slower",
    change=Estimate(value=0.08, low=0.07, high=0.09),
    baseline="00000001-digits-0123456789abcdef",
    baseline_median_us=926.0,
)
SPOILT = Problem(reason="throttled", where="block 2", what="the board throttled: get_throttled")
RIVALS = (
    Rival(
        name="onnxruntime",
        version="1.31.1",
        median_us=1400.0,
        p90_us=1500.0,
        max_error=0.0,
        failure=None,
    ),
    Rival(
        name="mnn", version="3.6.1", median_us=None, p90_us=None, max_error=None, failure="no Loop"
    ),
)
