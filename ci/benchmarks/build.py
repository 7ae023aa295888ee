"""What building costs in seconds, bytes and memory, against the bounds the project sets itself."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from rich.console import Console
from rich.table import Table

FOUR = ("x86_64-linux", "raspberry-pi-4", "jetson-nano", "raspberry-pi-armv7")
DIGITS = Path(__file__).parents[1] / "models" / "digits.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measurement and the bound it is held to (None: for information)."""

    name: str
    value: float
    unit: str
    bound: float | None

    @property
    def holds(self) -> bool:
        return self.bound is None or self.value <= self.bound


def main() -> int:
    """Measure everything; return 0 when every figure holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DIGITS)
    parser.add_argument("--large", type=float, default=1.0, help="GiB of the large model; 0 skips")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = list(measure(options.model.resolve(), options.large))
    Console().print(table(figures))
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0 if all(figure.holds for figure in figures) else 1


def measure(model: Path, large_gib: float) -> Iterator[Figure]:
    """Yield the figures, each build in a folder and a cache of its own."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        one = seconds(lambda: build(model, FOUR[:1], work / "one"))
        yield Figure(name="one target, cold, zig's cache too", value=one, unit="s", bound=15)
        warm_one = seconds(lambda: build(model, FOUR[:1], fresh(work / "one")))
        yield Figure(name="one target, zig warm", value=warm_one, unit="s", bound=None)
        build(model, FOUR, work / "four")
        four = seconds(lambda: build(model, FOUR, fresh(work / "four")))
        ratio = four / warm_one
        yield Figure(name="four targets / one", value=ratio, unit="x", bound=2.5)
        no_op = median_s(lambda: build(model, FOUR[:1], work / "one"))
        yield Figure(name="no-op rebuild", value=no_op, unit="s", bound=0.3)
        help_s = median_s(lambda: run("--help", cache=work))
        yield Figure(name="--help", value=help_s, unit="s", bound=0.15)
        yield from bundle_figures(work / "one" / "dist" / model.stem / FOUR[0])
        yield from checking(work)
        if large_gib:
            yield large_model(work, large_gib)


def bundle_figures(folder: Path) -> Iterator[Figure]:
    """Yield what a bundle weighs on disk and in memory."""
    bundle = folder / "bundle"
    library = runtime_bytes(bundle / "lib" / "libmodel.a")
    runner = (bundle / "bin" / "run").stat().st_size
    total = (library + runner) / 1024
    yield Figure(name="runtime and runner", value=total, unit="KiB", bound=64)
    bench = json.loads(run("run", str(folder), "--", "--bench", "--json", cache=folder))
    receipt = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    own = bench["peak_rss_bytes"] - receipt["sizes"]["weights"] - manifest["memory"]["arena_bytes"]
    yield Figure(name="peak RSS over weights + arena", value=own / 2**20, unit="MiB", bound=2)


def runtime_bytes(archive: Path) -> int:
    """Return the code and data bytes of the runtime in a model's archive, by ``size``'s account.

    The model's own objects do not count: its plan, and kernels, which are named after their CPU
    and numbered (``x86-64-v3-0.o``).
    """
    listed = subprocess.run(["size", str(archive)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    own = [row for row in rows if not re.search(r"^plan\.o$|-[0-9]+\.o$", row[5])]
    return sum(int(text) + int(data) for text, data, *_ in own)


def large_model(work: Path, gib: float) -> Figure:
    """Build a model of ``gib`` GiB of weights; return its peak memory as a multiple of that."""
    path = work / "large.onnx"
    written(path, gib, 4096, True)
    multiple = peak_bytes(build, path, FOUR[:1], work / "large") / (gib * 2**30)
    return Figure(name=f"{gib:g} GiB model: peak of any process", value=multiple, unit="x", bound=3)


def checking(work: Path) -> Iterator[Figure]:
    """Yield what it costs to check a model of 100 MiB that is one file."""
    path = work / "checked.onnx"
    written(path, 100 / 1024, 1024, False)
    taken = seconds(lambda: check(path, work / "check"))
    yield Figure(name="check of 100 MiB, cold", value=taken, unit="s", bound=5)
    multiple = peak_bytes(check, path, work / "check again") / path.stat().st_size
    yield Figure(name="check of 100 MiB: peak of any process", value=multiple, unit="x", bound=3)


def written(path: Path, gib: float, side: int, beside: bool) -> None:
    """Have another process write a model: a child starts with its parent's peak as its own."""
    writer = multiprocessing.get_context("spawn").Process(
        target=write_large, args=(path, gib, side, beside)
    )
    writer.start()
    writer.join()


def peak_bytes(work: Callable[..., None], *arguments: object) -> int:
    """Return the largest memory of a process that does the work, and of any it waits for."""
    worker = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    worker.start()
    assert worker.pid is not None
    _, status, usage = os.wait4(worker.pid, 0)
    assert status == 0
    return usage.ru_maxrss * 1024


def write_large(path: Path, gib: float, side: int, beside: bool) -> None:
    """Write a chain of matrix products: ``gib`` GiB of seeded weights in it or ``beside`` it."""
    count = round(gib * 2**30 / (side * side * 4))
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for number in range(count):
        value = rng.standard_normal((side, side), dtype=np.float32) * np.float32(side**-0.5)
        weights.append(numpy_helper.from_array(value, f"w{number}"))
        nodes.append(helper.make_node("MatMul", [last, f"w{number}"], [f"y{number}"]))
        last = f"y{number}"
    tensor = helper.make_tensor_value_info
    float32 = onnx.TensorProto.FLOAT
    ends = ([tensor("x", float32, [1, side])], [tensor(last, float32, [1, side])])
    graph = helper.make_graph(nodes, "large", *ends, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, path, save_as_external_data=beside, location="large.data")


def build(model: Path, targets: tuple[str, ...], work: Path) -> None:
    """Build with the local toolchain into ``work``, with a cache beside it."""
    work.mkdir(exist_ok=True)
    chosen = [word for target in targets for word in ("--target", target)]
    out = ("--out", str(work / "dist"))
    run("build", str(model), *chosen, "--toolchain", "local", *out, cache=work / "cache")


def check(model: Path, cache: Path) -> None:
    """Check with the local toolchain and a cache of its own."""
    run("check", str(model), "--toolchain", "local", cache=cache)


def fresh(work: Path) -> Path:
    """Forget every artifact of ``work`` but zig's own cache."""
    shutil.rmtree(work / "dist")
    for entry in (work / "cache").iterdir():
        if entry.name != "zig":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return work


def run(*arguments: str, cache: Path) -> str:
    """Run the command and return what it printed; a failure ends the benchmark."""
    environment = {**os.environ, "BOARDWRIGHT_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "builder", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stderr}")
    return done.stdout


def seconds(work: Callable[[], None]) -> float:
    """Return how long ``work`` takes, once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_s(work: Callable[[], object], times: int = 9) -> float:
    """Return the median of several runs in seconds."""
    return statistics.median(seconds(lambda: (work(), None)[1]) for _ in range(times))


def table(figures: list[Figure]) -> Table:
    """Return the figures as a table for people."""
    made = Table(title="What building costs")
    for heading in ("figure", "measured", "bound", ""):
        made.add_column(heading, justify="left" if heading == "figure" else "right")
    for figure in figures:
        bound = "" if figure.bound is None else f"{figure.bound:g} {figure.unit}"
        verdict = "" if figure.bound is None else ("holds" if figure.holds else "MISSED")
        made.add_row(figure.name, f"{figure.value:.2f} {figure.unit}", bound, verdict)
    return made


if __name__ == "__main__":
    sys.exit(main())
