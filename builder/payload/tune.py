"""Which tiles kernels may take, and which is the fastest where they are run on this CPU."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm import tirx

from builder.compiler import codegen, importing, pipeline, tuning
from builder.compiler.vector_unit import VectorUnit
from builder.model.tuning import Contest, Finding, Tile, cpu_label
from builder.payload.race import Timer, race
from builder.ports import Log
from builder.steps import Shortlist, Tune


def tune(step: Tune, prepared: Path, *, output: Path, log: Log) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Tune`` describes."""
    deadline_s = time.monotonic() + step.budget_s
    with _kernels(step, prepared, log) as (bench, tunable), _on_one_core():
        kernels = [one for one in tunable if one.key not in frozenset(step.known)]
        log(f"{len(kernels)} kernels to measure for {bench.cpu}")
        findings = list(_measure(bench, kernels, deadline_s, log))
    _write([asdict(finding) for finding in findings], output / "findings.json")


def shortlist(step: Shortlist, prepared: Path, *, output: Path, log: Log) -> None:
    """Fill ``output`` with the artifact that ``builder.steps.Shortlist`` describes."""
    with _kernels(step, prepared, log) as (bench, tunable):
        contests = [bench.contest(kernel) for kernel in tunable]
    _write([asdict(each) for each in contests if len(each.tiles) > 1], output / "shortlist.json")


@contextmanager
def _kernels(
    step: Tune | Shortlist, prepared: Path, log: Log
) -> Iterator[tuple[_Bench, list[tuning.Tunable]]]:
    """Give the kernels of a step's CPU that have a tile to choose, and where to look at them."""
    facts = pipeline.facts_of(step.platform, step.cpu, log)
    mod = pipeline.optimised(importing.read_prepared(prepared), prepared, facts)
    cpus = zip(step.cpu.sets, facts.targets, strict=True)
    [(cpu, target)] = [(cpu, target) for cpu, target in cpus if cpu.mcpu == step.mcpu]
    with target:
        bench = _Bench(cpu=cpu_label(cpu), target=target, unit=facts.unit(target))
        yield bench, tuning.tunables(mod, bench.unit)


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _measure(
    bench: _Bench, kernels: list[tuning.Tunable], deadline_s: float, log: Log
) -> Iterator[Finding]:
    """Yield findings until time is up, having told each."""
    for number, kernel in enumerate(kernels):
        if time.monotonic() >= deadline_s:
            log(f"time is up: {len(kernels) - number} kernels were not measured")
            return
        log(f"measuring kernel {number + 1} of {len(kernels)}: {tuning.describe(kernel.function)}")
        finding = bench.measure(kernel)
        log(finding.line(left=len(kernels) - number - 1))
        yield finding


class _Bench:
    """Measures kernels for one CPU, which is this one."""

    def __init__(self, *, cpu: str, target: tvm.target.Target, unit: VectorUnit) -> None:
        self.cpu = cpu
        self.unit = unit
        self._target = target

    def contest(self, kernel: tuning.Tunable) -> Contest:
        """Return what may be measured of a kernel."""
        return Contest(
            kernel=kernel.key,
            description=tuning.describe(kernel.function),
            tiles=tuple(self._variants(kernel)),
            calls=kernel.names,
        )

    def measure(self, kernel: tuning.Tunable) -> Finding:
        """Race a kernel's candidates on made-up data of the real shapes."""
        variants = self._variants(kernel)
        tiles = list(variants)
        outcome = race(self._timers(kernel.function, variants))
        return Finding(
            kernel=kernel.key,
            cpu=self.cpu,
            description=tuning.describe(kernel.function),
            tile=tiles[outcome.winner],
            usual=tiles[0],
            tile_us=round(outcome.winner_s * 1e6, 3),
            usual_us=round(outcome.usual_s * 1e6, 3),
        )

    def _variants(self, kernel: tuning.Tunable) -> dict[Tile, tirx.PrimFunc]:
        wanted = tuning.candidates(kernel.function, self.unit)
        return dict(tuning.variants(kernel.function, wanted, self.unit))

    def _timers(self, function: tirx.PrimFunc, variants: dict[Tile, tirx.PrimFunc]) -> list[Timer]:
        """Compile all variants into one object and load it."""
        names = {f"tile_{'_'.join(map(str, tile))}": each for tile, each in variants.items()}
        kernels = {n: each.with_attr("global_symbol", n) for n, each in names.items()}
        library = codegen.generate(kernels, self._target)
        arguments = _made_up(function)
        return [_timer(library, name, arguments) for name in names]


def _timer(library: Any, name: str, arguments: list[Any]) -> Timer:
    def seconds(count: int) -> float:
        evaluator = library.time_evaluator(name, tvm.cpu(), number=count, repeat=1)
        return float(evaluator(*arguments).mean)

    return seconds


def _made_up(function: tirx.PrimFunc) -> list[Any]:
    """Return a tensor for each parameter: normal numbers, small integers."""
    random = np.random.default_rng(0)

    def array(shape: list[int], dtype: str) -> Any:
        if dtype.startswith(("float", "bfloat")):
            return random.standard_normal(shape, dtype=np.float32).astype(dtype)
        return random.integers(0, 2, shape).astype(dtype)

    shapes = [[int(n) for n in param.shape] for param in function.params]
    return [
        tvm.runtime.tensor(array(shape, str(param.dtype)))
        for shape, param in zip(shapes, function.params, strict=True)
    ]


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Stay on one core, the last: the first serves interrupts on many machines."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
