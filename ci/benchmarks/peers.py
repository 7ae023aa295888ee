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
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from rich.console import Console
from rich.table import Table

Arrays = dict[str, npt.NDArray[Any]]
Run = Callable[[Arrays], list[npt.NDArray[Any]]]

CORES = sorted(os.sched_getaffinity(0))
ROUNDS = 5
ROUND_S = 0.6


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
    clean = without_listed_initialisers(model, work)
    runners: dict[str, Run] = {"ours": ours(bundle, threads)}
    for name, make in (("onnxruntime", onnxruntime), ("openvino", openvino), ("mnn", mnn)):
        try:
            runners[name] = make(clean, threads, feed)
            runners[name](feed)
        except Exception as error:  # a peer that does not take a model is no peer for it
            runners.pop(name, None)
            print(f"{model.stem}: {name}: {str(error)[:120]}", file=sys.stderr)
    samples = interleaved(runners, feed)
    medians = {name: statistics.median(times) * 1e3 for name, times in samples.items()}
    tenths = statistics.quantiles(samples["ours"], n=10)
    return Result(
        model=model.stem,
        threads=threads,
        ours_ms=medians.pop("ours"),
        peers_ms=medians,
        spread=(tenths[8] - tenths[0]) / statistics.median(samples["ours"]),
        max_error=difference(runners["ours"](feed), runners["onnxruntime"](feed)),
    )


def interleaved(runners: dict[str, Run], feed: Arrays) -> dict[str, list[float]]:
    """Return seconds of every run, the runners taking turns."""
    samples: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():
        for _ in range(3):
            run(feed)
    for _ in range(ROUNDS):
        for name, run in runners.items():
            until = time.perf_counter() + ROUND_S / 2
            while time.perf_counter() < until:  # others' turns cool caches and clocks
                run(feed)
            until += ROUND_S
            while time.perf_counter() < until or len(samples[name]) < 5:
                start = time.perf_counter()
                run(feed)
                samples[name].append(time.perf_counter() - start)
    return samples


def ours(bundle: Path, threads: int) -> Run:
    """Return our bundle behind its own Python package."""
    sys.path.insert(0, str(bundle / "python"))
    from boardwright_model import Model

    model = Model(bundle, threads=threads)
    names = [spec.name for spec in model.outputs]

    def run(feed: Arrays) -> list[npt.NDArray[Any]]:
        made = model(feed)
        return [made[name] for name in names]

    return run


def onnxruntime(model: Path, threads: int, _feed: Arrays) -> Run:
    """Return ONNX Runtime on so many threads."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda feed: list(session.run(None, feed))


def openvino(model: Path, threads: int, _feed: Arrays) -> Run:
    """Return OpenVINO in float32, tuned for latency."""
    import openvino as ov

    core = ov.Core()
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(core.read_model(str(model)), "CPU", config).create_infer_request()
    return lambda feed: list(request.infer(feed).values())


def mnn(model: Path, threads: int, feed: Arrays) -> Run:
    """Return MNN in high precision; its file is converted beside the model."""
    import MNN

    converted = model.with_suffix(".mnn")
    command = ["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(converted)]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    settings = {"backend": "CPU", "numThread": threads, "precision": "high"}
    manager = MNN.nn.create_runtime_manager((settings,))
    outputs = [value.name for value in onnx.load(model).graph.output]
    net = MNN.nn.load_module_from_file(str(converted), list(feed), outputs, runtime_manager=manager)

    def variable(array: npt.NDArray[Any]) -> Any:
        whole = array.dtype.kind in "iu"
        kind = MNN.expr.int if whole else MNN.expr.float
        data = array.astype(np.int32 if whole else np.float32)
        return MNN.expr.const(data, list(array.shape), MNN.expr.NCHW, kind)

    variables = [variable(array) for array in feed.values()]

    def run(_feed: Arrays) -> list[npt.NDArray[Any]]:
        made = net.forward(variables)
        made = made if isinstance(made, list) else [made]
        return [np.array(value.read()) for value in made]

    return run


def check_inputs(bundle: Path) -> Arrays:
    """Return the bundle's own check inputs by tensor name."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    folder = bundle / "check" / "inputs"
    return {
        spec["name"]: np.load(folder / f"{spec['file']}.npy")
        for spec in manifest["signature"]["inputs"]
    }


def without_listed_initialisers(model: Path, work: Path) -> Path:
    """Write the model with its inputs only, and no weights among them."""
    loaded = onnx.load(model)
    weights = {tensor.name for tensor in loaded.graph.initializer}
    inputs = [value for value in loaded.graph.input if value.name not in weights]
    del loaded.graph.input[:]
    loaded.graph.input.extend(inputs)
    path = work / model.name
    onnx.save(loaded, path)
    return path


def difference(ours_: list[npt.NDArray[Any]], theirs: list[npt.NDArray[Any]]) -> float:
    """Return the largest error over all outputs, relative to the largest value of them all."""
    scale = max(float(np.abs(b).max(initial=0.0)) for b in theirs)
    worst = max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(ours_, theirs, strict=True))
    return worst / max(scale, 1e-30)


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
