"""Compiled models against other CPU runtimes: interleaved runs, medians, one table.

Every model runs on ours, ONNX Runtime, OpenVINO and MNN in turn (A B C D A B C D…), in one process
that is pinned to as many cores as threads, on the same inputs. Peers get the model without
initialisers among its inputs, which would stop their constant folding. A ratio above one means that
ours is faster.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builder.bench.result import OURS, lead
from builder.effects.rivals import race
from builder.errors import BoardwrightError, BuildFailed

CORES = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One model on one number of threads: medians in milliseconds, errors against ONNX Runtime."""

    model: str
    threads: int
    ours_ms: float
    peers_ms: dict[str, float]
    spread: float  # how much slower than its median the slowest tenth of ours is
    max_error: float  # of ours, relative to the largest output
    ratio: float  # best peer's time over ours


def main() -> int:
    """Measure the models named; print the table; return 1 where one could not be raced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--target", default="x86_64-linux")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: list[Result] = []
    failed = False
    with tempfile.TemporaryDirectory() as name:
        for model in options.models:
            bundle = build(model.resolve(), options.target, Path(name))
            for threads in options.threads:
                try:
                    results.append(compare(model.resolve(), bundle, threads))
                except BoardwrightError as error:
                    failed = True
                    print(f"{model.stem}: {error}", file=sys.stderr, flush=True)
                else:
                    print(line(results[-1]), file=sys.stderr, flush=True)
    Console(width=None if sys.stdout.isatty() else 130).print(table(results))
    if options.json:
        rows = [asdict(result) for result in results]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return int(failed)


def build(model: Path, target: str, work: Path) -> Path:
    """Build ``model`` with the project's own command; return its bundle."""
    command = [sys.executable, "-m", "builder", "build", str(model), "--target", target]
    command += ["--toolchain", "local", "--verify", "off", "--out", str(work / "dist")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{model.name}: {done.stderr.strip()}")
    [receipt] = (work / "dist").glob(f"{model.stem.lower()}/*/receipt.json")
    return receipt.parent / "bundle"


def compare(model: Path, bundle: Path, threads: int) -> Result:
    """Time one model on everything that takes it, in turns."""
    rivals = race(model, bundle, threads, CORES[:threads])
    for rival in rivals:
        if rival.failure:
            print(f"{model.stem}: {rival.name}: {rival.failure[:120]}", file=sys.stderr)
    median_ms = {r.name: r.median_us / 1e3 for r in rivals if r.median_us is not None}
    [ours] = [rival for rival in rivals if rival.name == OURS]
    ratio = lead(rivals)
    if not (ours.median_us and ours.p90_us and ours.max_error is not None and ratio):
        raise BuildFailed("ONNX Runtime, the reference, does not run it", reason="no-reference")
    return Result(
        model=model.stem,
        threads=threads,
        ours_ms=median_ms.pop(OURS),
        peers_ms=median_ms,
        spread=ours.p90_us / ours.median_us - 1.0,
        max_error=ours.max_error,
        ratio=ratio,
    )


def line(result: Result) -> str:
    """Return a result as one line."""
    peers = "  ".join(f"{name} {value:.2f}" for name, value in result.peers_ms.items())
    return (
        f"{result.model} x{result.threads}: ours {result.ours_ms:.2f}  {peers}  "
        f"ratio {result.ratio:.2f}  error {result.max_error:.1e}"
    )


def table(results: list[Result]) -> Table:
    """Return the results as a table, the geometric mean last."""
    made = Table(title="Median milliseconds; ratio = best peer / ours")
    for heading in ("model", "threads", "ours", "spread", *_peers(results), "ratio", "max error"):
        made.add_column(heading, justify="left" if heading == "model" else "right")
    for result in results:
        peers = [
            f"{result.peers_ms[name]:.2f}" if name in result.peers_ms else "-"
            for name in _peers(results)
        ]
        made.add_row(
            *(result.model, str(result.threads), f"{result.ours_ms:.2f}"),
            *(f"{result.spread:.0%}", *peers, f"{result.ratio:.2f}", f"{result.max_error:.1e}"),
        )
    for threads in sorted({result.threads for result in results}):
        ratios = [result.ratio for result in results if result.threads == threads]
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        blank = [""] * (len(_peers(results)) + 2)
        made.add_row("geometric mean", str(threads), *blank, f"{mean:.2f}", "")
    return made


def _peers(results: list[Result]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for result in results for name in result.peers_ms))


if __name__ == "__main__":
    sys.exit(main())
