"""What it costs to start a kernel on all cores and to meet them again: regions without work."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

RUNTIME = Path(__file__).parents[2] / "templates" / "runtime"
PARTS = ("pool.c", "speeds.c", "message.c", "platform.c")
BOUND_US = 3.0  # of the median, on two cores


def main() -> int:
    """Measure pools of 1, 2, … threads; return 0 when two cost no more than ``BOUND_US``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        program = built(Path(folder))
        found = {n: launches_us(program, cores[:n]) for n in range(1, len(cores) + 1)}
    Console().print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found), encoding="utf-8")
    return 0 if len(cores) < 2 or statistics.median(found[2]) <= BOUND_US else 1


def built(folder: Path) -> Path:
    """Compile the pool as bundles have it, with a program around it."""
    program = folder / "threads"
    sources = (Path(__file__).with_suffix(".c"), *(RUNTIME / part for part in PARTS))
    command = [sys.executable, "-m", "ziglang", "cc", "-O2", "-std=c11", "-I", str(RUNTIME)]
    subprocess.run([*command, *map(str, sources), "-o", str(program)], check=True)
    return program


def launches_us(program: Path, cores: list[int]) -> list[float]:
    """Return the microseconds of every launch on ``cores``, a thread each."""
    done = subprocess.run(
        [str(program), *map(str, cores)], check=True, capture_output=True, text=True
    )
    return [int(line) / 1e3 for line in done.stdout.split()]


def table(found: dict[int, list[float]]) -> Table:
    """Return the medians and the slowest, by number of threads."""
    made = Table(title="Launch to end, microseconds")
    for heading in ("threads", "median", "90 %", "99 %"):
        made.add_column(heading, justify="right")
    for threads, samples in found.items():
        parts = statistics.quantiles(samples, n=100)
        figures = (statistics.median(samples), parts[89], parts[98])
        made.add_row(str(threads), *(f"{figure:.2f}" for figure in figures))
    return made


if __name__ == "__main__":
    sys.exit(main())
