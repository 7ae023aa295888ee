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
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builder.effects.rivals import OURS, check_inputs, difference, interleaved, line_up

CORES = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One model on one number of threads: medians in milliseconds, errors against ONNX Runtime."""

    model: str
    threads: int
    ours_ms: float
    peers_ms: dict[str, float]
    spread: float  # of ours: (p90 - p10) / median
    max_error: float  # of ours, relative to the largest output

    @property
    def ratio(self) -> float:
        """Best peer's time over ours."""
        return min(self.peers_ms.values()) / self.ours_ms


def main() -> int:
    """Measure the models named; print the table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--target", default="x86_64-linux")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        for model in options.models:
            bundle = build(model.resolve(), options.target, Path(name))
            for threads in options.threads:
                results.append(in_new_process(model.resolve(), bundle, threads, Path(name)))
                print(line(results[-1]), file=sys.stderr, flush=True)
    Console().print(table(results))
    if options.json:
        rows = [{**asdict(result), "ratio": result.ratio} for result in results]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def build(model: Path, target: str, work: Path) -> Path:
    """Build ``model`` with the project's own command; return its bundle."""
    command = [sys.executable, "-m", "builder", "build", str(model), "--target", target]
    command += ["--toolchain", "local", "--verify", "off", "--out", str(work / "dist")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{model.name}: {done.stderr.strip()}")
    [receipt] = (work / "dist").glob(f"{model.stem.lower()}/*/receipt.json")
    return receipt.parent / "bundle"


def in_new_process(model: Path, bundle: Path, threads: int, work: Path) -> Result:
    """Compare in a process of its own: some runtimes look at the cores only when first loaded."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(compare, model, bundle, threads, work).result()


def compare(model: Path, bundle: Path, threads: int, work: Path) -> Result:
    """Time one model on everything that takes it, in turns."""
    os.sched_setaffinity(0, CORES[:threads])
    feed = check_inputs(bundle)
    runners, failures = line_up(model, bundle, threads, feed, work)
    for name, why in failures.items():
        print(f"{model.stem}: {name}: {why[:120]}", file=sys.stderr)
    samples = interleaved(runners, feed)
    medians = {name: statistics.median(times) * 1e3 for name, times in samples.items()}
    tenths = statistics.quantiles(samples[OURS], n=10)
    return Result(
        model=model.stem,
        threads=threads,
        ours_ms=medians.pop(OURS),
        peers_ms=medians,
        spread=(tenths[8] - tenths[0]) / statistics.median(samples[OURS]),
        max_error=difference(runners[OURS](feed), runners["onnxruntime"](feed)),
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
