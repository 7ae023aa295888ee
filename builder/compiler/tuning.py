"""Measured tiles: which kernel a record means, and what may be measured of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import tvm
import tvm_ffi
from tvm import relax, tirx

from builder.compiler.kernels import dispatch, work
from builder.compiler.kernels.choice import FIRST, Choice
from builder.compiler.vector_unit import VectorUnit
from builder.model.tuning import Tile, TunedTile
from builder.ports import Log

SHORT_LIST = 8
"""Candidates of a kernel that are worth compiling: the cost model ranks the rest lower still."""


def kernel_key(function: tirx.PrimFunc) -> str:
    """Return what tells an unscheduled kernel from others, whatever its tensors are called."""
    bare = function.without_attr("global_symbol")
    return f"{tvm_ffi.structural_hash(bare):016x}"


def describe(function: tirx.PrimFunc) -> str:
    """Return a kernel's family and the shapes of its tensors, the result last."""
    shapes = ["x".join(str(int(n)) for n in param.shape) for param in function.params]
    return f"{dispatch.family_name(function)} {' '.join(shapes)}"


def choices(tuned: Iterable[TunedTile], cpu: str, log: Log) -> dispatch.ChoiceOf:
    """Return what the kernels of one CPU choose: their tuned tile, else what is usual."""
    tiles = {one.kernel: one.tile for one in tuned if one.cpu == cpu}
    if not tiles:
        return dispatch.first

    def choice_of(function: tirx.PrimFunc) -> Choice:
        tile = tiles.get(kernel_key(function))
        if tile is None:
            return FIRST
        log(f"tuned for {cpu}: {tile} for {describe(function)}")
        return _Recorded(tile=tile, log=log)

    return choice_of


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    tile: Tile
    log: Log

    def pick(self, candidates: Sequence[Tile]) -> Tile:
        if self.tile in candidates:
            return self.tile
        self.log(f"tuned tile {self.tile} is no candidate any more: the usual one is taken")
        return candidates[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunable:
    """A kernel with a tile to choose, and how much of a run it is: ``work.points`` of all calls.

    ``names`` are the module's functions that it is.
    """

    key: str
    function: tirx.PrimFunc
    names: tuple[str, ...]
    weight: float


def tunables(mod: tvm.IRModule, unit: VectorUnit) -> list[Tunable]:
    """Return the kernels of an optimised module that have several candidates, heaviest first.

    Kernels that differ in names alone are one.
    """
    calls = _calls(mod)
    found: dict[str, Tunable] = {}
    for variable, function in mod.functions.items():
        if isinstance(function, tirx.PrimFunc) and len(candidates(function, unit)) > 1:
            name, key = variable.name_hint, kernel_key(function)
            twin = found.get(key)
            found[key] = Tunable(
                key=key,
                function=function,
                names=tuple(sorted((*(twin.names if twin else ()), name))),
                weight=work.points(function) * calls[name] + (twin.weight if twin else 0.0),
            )
    return sorted(found.values(), key=lambda one: (-one.weight, one.key))


def candidates(function: tirx.PrimFunc, unit: VectorUnit) -> list[Tile]:
    """Return the tiles that are worth measuring, the usual one first; none where none is asked."""
    asking = _Asking()
    try:
        dispatch.apply(dispatch.family(function), function, unit, False, asking)
    except Exception:  # a schedule that does not fit has nothing to tune
        return []
    return asking.offered[:SHORT_LIST]


def variants(
    function: tirx.PrimFunc, tiles: Iterable[Tile], unit: VectorUnit
) -> Iterator[tuple[Tile, tirx.PrimFunc]]:
    """Yield the kernel on one core with each tile that fits it."""
    how = dispatch.family(function)
    for tile in tiles:
        try:
            choice = _Recorded(tile=tile, log=lambda _: None)
            yield tile, dispatch.apply(how, function, unit, False, choice)
        except Exception:  # one candidate less
            continue


class _Asking:
    """Takes the usual tile, and keeps what else was offered."""

    def __init__(self) -> None:
        self.offered: list[Tile] = []

    def pick(self, candidates: Sequence[Tile]) -> Tile:
        self.offered = list(candidates)
        return candidates[0]


def _calls(mod: tvm.IRModule) -> Counter[str]:
    """Return how often ``main`` calls each kernel."""
    counted: Counter[str] = Counter()

    def visit(node: object) -> None:
        if (
            isinstance(node, relax.Call)
            and node.args
            and isinstance(node.args[0], tvm.ir.GlobalVar)
        ):
            counted[node.args[0].name_hint] += 1

    relax.analysis.post_order_visit(mod["main"].body, visit)
    return counted
