"""Other CPU runtimes beside a bundle: in turns, in one process, on the same inputs and cores.

Peers get the model without initialisers among its inputs, which would stop their constant folding.
A peer that is not installed, or does not take a model, is left out and says why.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from builder import __version__
from builder.bench.result import OURS, Rival
from builder.errors import BuildFailed

Arrays = dict[str, npt.NDArray[Any]]
Run = Callable[[Arrays], list[npt.NDArray[Any]]]
Make = Callable[[Path, int, Arrays], Run]

ROUNDS = 5
ROUND_S = 0.6
_REFERENCE = "onnxruntime"

# Not the program mnnconvert: it would install a package to report each conversion with, and with
# that a protobuf too old for ONNX.
_MNN_CONVERT = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv)"
_WARMUP = 3
_LEAST_SAMPLES = 5


def race(model: Path, bundle: Path, threads: int, cores: Sequence[int]) -> tuple[Rival, ...]:
    """Return the bundle and each runtime, pinned to ``cores`` (empty: to none), measured in turns.

    Runs in a process of its own: some runtimes look at the cores only when first loaded. Raises
    ``BuildFailed`` ``rivals-failed`` when the bundle or the model cannot be run there.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        try:
            return pool.submit(_race, model, bundle, threads, tuple(cores)).result()
        except Exception as error:  # whatever a foreign library or its crash comes to
            raise BuildFailed(
                "the model could not be run beside other runtimes",
                reason="rivals-failed",
                where=str(model),
                why=str(error)[:200] or type(error).__name__,
                remedy="give the model that the bundle was built from, or leave out --rivals",
            ) from error


def line_up(
    model: Path, bundle: Path, threads: int, feed: Arrays, work: Path
) -> tuple[dict[str, Run], dict[str, str]]:
    """Return what can run, by name, and why the others cannot; ``work`` is for their files."""
    clean = without_listed_initialisers(model, work)
    runners: dict[str, Run] = {OURS: ours(bundle, threads)}
    failures: dict[str, str] = {}
    for name, make in PEERS.items():
        try:
            runners[name] = make(clean, threads, feed)
            runners[name](feed)
        except Exception as error:  # a peer that does not take a model is no peer for it
            runners.pop(name, None)
            missing = isinstance(error, ModuleNotFoundError)
            failures[name] = "not installed" if missing else str(error)[:200]
    return runners, failures


def interleaved(runners: dict[str, Run], feed: Arrays) -> dict[str, list[float]]:
    """Return the seconds of every run, the runners taking turns."""
    samples: dict[str, list[float]] = {name: [] for name in runners}
    for run in runners.values():
        for _ in range(_WARMUP):
            run(feed)
    for _ in range(ROUNDS):
        for name, run in runners.items():
            until = time.perf_counter() + ROUND_S / 2
            while time.perf_counter() < until:  # others' turns cool caches and clocks
                run(feed)
            until += ROUND_S
            while time.perf_counter() < until or len(samples[name]) < _LEAST_SAMPLES:
                start = time.perf_counter()
                run(feed)
                samples[name].append(time.perf_counter() - start)
    return samples


def ours(bundle: Path, threads: int) -> Run:
    """Return a bundle behind its own Python package."""
    sys.path.insert(0, str(bundle / "python"))
    from boardwright_model import Model  # type: ignore[import-not-found]

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
    import onnx

    converted = model.with_suffix(".mnn")
    command = [sys.executable, "-c", _MNN_CONVERT, "-f", "ONNX"]
    command += ["--modelFile", str(model), "--MNNModel", str(converted)]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    settings = {"backend": "CPU", "numThread": threads, "precision": "high"}
    manager = MNN.nn.create_runtime_manager((settings,))
    outputs = [value.name for value in onnx.load(model).graph.output]
    net = MNN.nn.load_module_from_file(str(converted), list(feed), outputs, runtime_manager=manager)

    def variable(array: npt.NDArray[Any]) -> Any:
        whole = array.dtype.kind in "iu"
        kind = MNN.expr.int if whole else MNN.expr.float
        values = array.astype(np.int32 if whole else np.float32)
        return MNN.expr.const(values, list(array.shape), MNN.expr.NCHW, kind)

    variables = [variable(array) for array in feed.values()]

    def run(_feed: Arrays) -> list[npt.NDArray[Any]]:
        made = net.forward(variables)
        made = made if isinstance(made, list) else [made]
        return [np.array(value.read()) for value in made]

    return run


PEERS: dict[str, Make] = {"onnxruntime": onnxruntime, "openvino": openvino, "mnn": mnn}


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
    import onnx

    loaded = onnx.load(model)
    weights = {tensor.name for tensor in loaded.graph.initializer}
    inputs = [value for value in loaded.graph.input if value.name not in weights]
    del loaded.graph.input[:]
    loaded.graph.input.extend(inputs)
    # Before version 4 of the format every initialiser had to be an input.
    loaded.ir_version = max(loaded.ir_version, 4)
    path = work / model.name
    onnx.save(loaded, path)
    return path


def difference(made: list[npt.NDArray[Any]], expected: list[npt.NDArray[Any]]) -> float:
    """Return the largest error over all outputs, relative to the largest value of them all."""
    scale = max(float(np.abs(b).max(initial=0.0)) for b in expected)
    pairs = zip(made, expected, strict=True)
    worst = max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)
    return worst / max(scale, 1e-30)


def _race(model: Path, bundle: Path, threads: int, cores: tuple[int, ...]) -> tuple[Rival, ...]:
    os.dup2(2, 1)  # some of them greet on standard output
    if cores:
        os.sched_setaffinity(0, cores)
    feed = check_inputs(bundle)
    with tempfile.TemporaryDirectory() as work:
        runners, failures = line_up(model, bundle, threads, feed, Path(work))
        samples = interleaved(runners, feed)
        expected = runners[_REFERENCE](feed) if _REFERENCE in runners else None
        errors = {name: _error(run(feed), expected) for name, run in runners.items()}
    ran = tuple(_ran(name, samples[name], errors[name]) for name in runners)
    return (*ran, *(_absent(name, why) for name, why in failures.items()))


def _error(made: list[npt.NDArray[Any]], expected: list[npt.NDArray[Any]] | None) -> float | None:
    if expected is None:
        return None
    found = difference(made, expected)
    return found if np.isfinite(found) else None


def _ran(name: str, seconds: list[float], error: float | None) -> Rival:
    return Rival(
        name=name,
        version=_version(name),
        median_us=round(statistics.median(seconds) * 1e6, 3),
        p90_us=round(statistics.quantiles(seconds, n=10)[8] * 1e6, 3),
        max_error=error,
        failure=None,
    )


def _absent(name: str, why: str) -> Rival:
    return Rival(
        name=name,
        version=_version(name),
        median_us=None,
        p90_us=None,
        max_error=None,
        failure=why,
    )


def _version(name: str) -> str:
    if name == OURS:
        return __version__
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
