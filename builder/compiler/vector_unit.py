"""What a core's vector unit can do: the facts that tile sizes and layouts follow from."""

from __future__ import annotations

from dataclasses import dataclass

import tvm

from builder.model.target import Arch


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """How fast a core works on vectors, whatever their width.

    ``fmas`` are vectors multiplied and added a cycle, ``loads`` vectors loaded a cycle, ``latency``
    the cycles until a sum can be added to again. A core that issues ``in_order`` does nothing else
    while it loads, and wants loads well ahead of their use.
    """

    fmas: float
    loads: float
    latency: float
    in_order: bool = False


_OUT_OF_ORDER = Core(fmas=2, loads=2, latency=4)
_A53 = Core(fmas=1, loads=0.5, latency=8, in_order=True)
_A57 = Core(fmas=1, loads=1, latency=5)

# 128-bit vectors. A57, A72, A76: LLVM's scheduling models, which follow Arm's software optimization
# guides. A53: the A57's width, and a vector load that takes two cycles and shares neither with a
# multiply-add, as writers of kernels by hand found. A7: one multiply-add of one lane a cycle, as
# measured on boards.
# A core that is not known may be an A53, and what suits that costs no other core anything.
_CORES = {
    "generic": _A53,
    "cortex-a7": Core(fmas=0.25, loads=0.5, latency=8, in_order=True),
    "cortex-a8": Core(fmas=0.5, loads=1, latency=8, in_order=True),
    "cortex-a35": _A53,
    "cortex-a53": _A53,
    "cortex-a55": Core(fmas=1, loads=0.5, latency=4, in_order=True),
    "cortex-a57": _A57,
    "cortex-a72": _A57,
    "cortex-a73": _A57,
    "cortex-a75": _A57,
    "znver4": Core(fmas=1, loads=2, latency=4),  # of 512 bits: two halves, one after the other
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorUnit:
    """One core's float32 vectors.

    ``lanes`` are float32 elements of a register, ``registers`` their number. ``accumulators`` is
    how many of them a tile may sum into: the rest hold weights and broadcast inputs, and there must
    be enough sums in flight to hide ``core``'s latency. ``by_lane`` says that a vector can be
    multiplied by one lane of another, so that inputs need no broadcast.
    """

    lanes: int
    registers: int
    accumulators: int
    core: Core
    by_lane: bool = False

    @property
    def one_step_at_a_time(self) -> bool:
        """Whether a loop over sums had better not be unrolled.

        LLVM has no model of in-order 32-bit cores: of several steps it loads all inputs first, for
        which there are no registers.
        """
        return self.core.in_order and self.registers == 16


def vector_unit(arch: Arch, target: tvm.target.Target) -> VectorUnit:
    """Return the vector unit of the CPU that ``target`` names, by what LLVM knows of it."""
    core = _CORES.get(str(target.attrs["mcpu"]), _OUT_OF_ORDER)
    if arch == "x86_64":
        if _has(target, "avx512f"):
            return VectorUnit(lanes=16, registers=32, accumulators=16, core=core)
        wide = _has(target, "avx2") and _has(target, "fma")
        lanes = 8 if wide else 4
        return VectorUnit(lanes=lanes, registers=16, accumulators=8, core=core)
    if arch == "aarch64":
        return VectorUnit(lanes=4, registers=32, accumulators=16, core=core, by_lane=True)
    return VectorUnit(lanes=4, registers=16, accumulators=8, core=core)


def _has(target: tvm.target.Target, feature: str) -> bool:
    return bool(tvm.target.codegen.target_has_features(feature, target))
