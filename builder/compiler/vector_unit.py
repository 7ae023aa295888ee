"""What a core's vector unit can do: the facts that tile sizes and layouts follow from."""

from __future__ import annotations

from dataclasses import dataclass

import tvm

from builder.model.target import Arch

_IN_ORDER = frozenset(
    {"cortex-a7", "cortex-a8", "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a510"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorUnit:
    """One core's float32 vectors.

    ``lanes`` are float32 elements of a register, ``registers`` their number. ``accumulators`` is
    how many of them a tile may sum into: the rest hold weights and broadcast inputs, and an
    out-of-order core needs about ten sums in flight to hide its multiply-add's latency.
    """

    lanes: int
    registers: int
    accumulators: int
    in_order: bool


def vector_unit(arch: Arch, target: tvm.target.Target) -> VectorUnit:
    """Return the vector unit of the CPU that ``target`` names, by what LLVM knows of it."""
    in_order = str(target.attrs["mcpu"]) in _IN_ORDER
    if arch == "x86_64":
        if _has(target, "avx512f"):
            return VectorUnit(lanes=16, registers=32, accumulators=16, in_order=False)
        if _has(target, "avx2") and _has(target, "fma"):
            return VectorUnit(lanes=8, registers=16, accumulators=8, in_order=False)
        return VectorUnit(lanes=4, registers=16, accumulators=8, in_order=False)
    if arch == "aarch64":
        return VectorUnit(lanes=4, registers=32, accumulators=16, in_order=in_order)
    return VectorUnit(lanes=4, registers=16, accumulators=8, in_order=in_order)


def _has(target: tvm.target.Target, feature: str) -> bool:
    return bool(tvm.target.codegen.target_has_features(feature, target))
