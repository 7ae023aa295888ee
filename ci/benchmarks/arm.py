"""How near the hot loops of kernels for Arm come to the cores' multiply-adds, told on any machine.

Models are compiled for each core. The innermost loops that multiply and add are cut out of the
assembly, and their cycles are told by llvm-mca, or for in-order cores by ``in_order``. A ratio is
the cycles of the multiply-adds alone over those. Every load is taken to hit the first-level cache.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import onnx
from rich.console import Console
from rich.table import Table
from tvm import IRModule, s_tir, tirx

from builder.compiler import codegen, importing, passes
from builder.compiler.kernels import attention, conv, depthwise, loops, matmul, winograd
from builder.compiler.prepare.pipeline import prepare
from builder.model.target import Arch, Cpu, Libc, Platform
from ci.benchmarks import arm_models, in_order, mca
from ci.benchmarks.arm_cores import CORES, Core
from ci.benchmarks.hot_loops import HotLoop, hot_loops

_SHARED = Path(__file__).parents[2].parent / "shared" / "models"
_USUAL = ("mnist", "ultraface-rfb-320", "yunet-n-320")
_ATTRIBUTES: dict[Arch, tuple[str, ...]] = {"aarch64": ("+neon",), "armv7": ("+neon", "+vfp4")}
_FAMILIES = {
    conv.ANCHOR: "convolution",
    winograd.ANCHOR: "Winograd",
    matmul.ANCHOR: "product",
    attention.ANCHOR: "attention",
    depthwise.ANCHOR: "depthwise",
}
_HELD_TO_THE_GOAL = ("convolution", "Winograd", "product", "attention")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One hot loop of one kernel on one core; cycles are of one turn of the loop.

    ``role`` is "tile", or "rest" where fewer registers are added to than in another loop of the
    kernel: what fills no tile; or "other": transforms, polynomials.
    """

    core: str
    model: str
    kernel: str
    family: str
    loop: str
    fmas: int
    sums: int
    bound_cycles: float
    cycles: float
    mca_cycles: float | None
    spills: int
    role: str

    @property
    def ratio(self) -> float:
        return self.bound_cycles / self.cycles


def main() -> int:
    """Analyse models; print the tables; return 0 when every core reaches its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="default: models of usual shapes")
    parser.add_argument("--cores", nargs="+", choices=sorted({core.name for core in CORES}))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    program = mca.find()
    cores = [core for core in CORES if core.name in (options.cores or [core.name])]
    with tempfile.TemporaryDirectory() as folder:
        models = options.models or list(usual_models(Path(folder)))
        jobs = [(model, core) for core in cores for model in models]
        with ProcessPoolExecutor() as pool:
            found = list(chain.from_iterable(pool.map(partial(analysed, program), jobs)))
    Console(width=None if sys.stdout.isatty() else 150).print(*tables(found, cores))
    if options.json:
        rows = [{**asdict(figure), "ratio": figure.ratio} for figure in found]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(holds(core, found) for core in cores) else 1


def usual_models(folder: Path) -> Iterator[Path]:
    """Yield models of usual shapes, made in ``folder``, and those that lie beside the checkout."""
    for make in (arm_models.images, arm_models.rows):
        path = folder / f"{make.__name__}.onnx"
        onnx.save(make(), path)
        yield path
    yield from (path for name in _USUAL if (path := _SHARED / f"{name}.onnx").exists())


def analysed(program: Path, job: tuple[Path, Core]) -> list[Figure]:
    """Compile a model for a core and return the figures of its kernels' hot loops."""
    model, core = job
    families, listing = compiled(model, core)
    made: list[Figure] = []
    for function, found in groupby(hot_loops(listing), key=lambda loop: loop.function):
        kernel = function.removesuffix("_compute_")
        same = list(found)
        most = max(loop.sums for loop in same)
        made += [
            figure(program, core, model.stem, kernel, families.get(kernel, "other"), loop, most)
            for loop in same
        ]
    return made


def compiled(model: Path, core: Core) -> tuple[dict[str, str], str]:
    """Return the family of each kernel of a model, and the kernels' assembly for one core."""
    platform = Platform(arch=core.arch, libc=Libc(family="glibc", floor="2.28"))
    # One core: a kernel that is split has its loops in functions of other names.
    cpu = Cpu(mcpu=core.name, mattr=_ATTRIBUTES[core.arch], cores=1, features=())
    target = codegen.llvm_target(platform, cpu)
    facts = passes.Facts(platform=platform, cpu=cpu, targets=(target,), log=lambda _: None)
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name)
        prepare(model, seed=0, output=prepared, log=lambda _: None)
        mod = passes.run(importing.import_model(importing.read_prepared(prepared), prepared), facts)
        kernels = {
            variable.name_hint: function
            for variable, function in mod.functions.items()
            if isinstance(function, tirx.PrimFunc)
        }
        scheduled = passes.schedule(IRModule(kernels), target, facts)
    named = {name: scheduled[name].with_attr("global_symbol", name) for name in kernels}
    listing = codegen.generate(named, target).inspect_source("asm")
    return {name: family(kernel) for name, kernel in kernels.items()}, str(listing)


def family(function: tirx.PrimFunc) -> str:
    """Return what a kernel is, by its blocks."""
    schedule = s_tir.Schedule(IRModule({"main": function}))
    names = {loops.name(schedule, block): block for block in loops.blocks(schedule)}
    kind = next((kind for anchor, kind in _FAMILIES.items() if anchor in names), "other")
    if kind == "product" and _rows(schedule, names[matmul.ANCHOR]) == 1:
        return "one row"  # reads a vector of weights for each multiply-add: memory decides
    return kind


def _rows(schedule: s_tir.Schedule, block: loops.Block) -> int:
    *_, rows, _columns, _depth = schedule.get_loops(block)
    return loops.extent(schedule, rows)


def figure(
    program: Path, core: Core, model: str, kernel: str, kind: str, loop: HotLoop, most: int
) -> Figure:
    """Return what one loop costs; ``most`` are the sums of its kernel's largest."""
    by_mca = None
    if core.mca is not None:
        by_mca = mca.cycles(program, loop.body, triple="aarch64", mcpu=core.mca)
    cycles = in_order.cycles(loop.body, core.pipeline) if core.pipeline else by_mca
    assert cycles is not None
    return Figure(
        core=core.title,
        model=model,
        kernel=kernel,
        family=kind,
        loop=loop.label,
        fmas=loop.fmas,
        sums=loop.sums,
        bound_cycles=loop.fmas / core.fmas,
        cycles=cycles,
        mca_cycles=by_mca,
        spills=loop.spills,
        role=role(loop, most),
    )


def role(loop: HotLoop, most: int) -> str:
    """Return what a loop is for, among the loops of its kernel."""
    if not loop.sums:
        return "other"
    return "tile" if loop.sums == most else "rest"


def held(core: Core, figures: Iterable[Figure]) -> list[Figure]:
    """Return the loops that a core's goal is for: whole tiles of convolutions and products."""
    return [
        one
        for one in figures
        if one.core == core.title and one.family in _HELD_TO_THE_GOAL and one.role == "tile"
    ]


def holds(core: Core, figures: Iterable[Figure]) -> bool:
    """Tell whether every loop reaches the core's goal, without spills."""
    return all(one.ratio >= core.goal and not one.spills for one in held(core, figures))


def tables(figures: Sequence[Figure], cores: Sequence[Core]) -> list[Table]:
    """Return every loop, then each core's least."""
    return [_loops(figures), _summary(figures, cores)]


def _loops(figures: Sequence[Figure]) -> Table:
    made = Table(title="Hot loops: cycles of one turn")
    for heading in ("core", "model", "kernel", "family", "loop", "role"):
        made.add_column(heading, overflow="fold")
    for heading in ("FMAs", "sums", "bound", "cycles", "ratio", "llvm-mca", "spills"):
        made.add_column(heading, justify="right")
    for one in figures:
        by_mca = "" if one.mca_cycles is None else f"{one.mca_cycles:.1f}"
        counts = (str(one.fmas), str(one.sums), f"{one.bound_cycles:.1f}", f"{one.cycles:.1f}")
        made.add_row(
            *(one.core, one.model, one.kernel, one.family, one.loop, one.role),
            *(*counts, f"{one.ratio:.2f}", by_mca, str(one.spills)),
        )
    return made


def _summary(figures: Sequence[Figure], cores: Sequence[Core]) -> Table:
    made = Table(title="Whole tiles of convolutions, products, Winograd's products, attention")
    for heading in ("core", "FMAs a cycle", "by", "loops", "least ratio", "goal", "spills", ""):
        made.add_column(heading, justify="left" if heading in ("core", "by") else "right")
    for core in cores:
        mine = held(core, figures)
        least = min((one.ratio for one in mine), default=1.0)
        made.add_row(
            *(core.title, f"{core.fmas:g}", core.source, str(len(mine)), f"{least:.2f}"),
            *(f"{core.goal:g}", str(sum(one.spills for one in mine))),
            "holds" if holds(core, figures) else "MISSED",
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
