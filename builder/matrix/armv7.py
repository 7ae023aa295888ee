"""What 32-bit Arm cores have beside NEON, so that a target only has to name its core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Armv7Features:
    """``mattr`` are LLVM's names, ``features`` those of ``/proc/cpuinfo``."""

    mattr: tuple[str, ...]
    features: tuple[str, ...]


_OLD = Armv7Features(mattr=("+neon",), features=("neon", "vfpv3"))
_NO_DIVISION = Armv7Features(mattr=("+neon", "+vfp4"), features=("neon", "vfpv4"))
_NEW = Armv7Features(mattr=("+neon", "+vfp4"), features=("neon", "vfpv4", "idiva"))

# LLVM's ARMProcessors.td. All later cores, those with a 64-bit mode too, have what a Cortex-A7 has.
_BY_CORE: Mapping[str, Armv7Features] = {
    "generic": _OLD,
    "cortex-a5": _NO_DIVISION,
    "cortex-a8": _OLD,
    "cortex-a9": _OLD,
}


def armv7_features(mcpu: str) -> Armv7Features:
    """Return what the core that LLVM calls ``mcpu`` has."""
    return _BY_CORE.get(mcpu, _NEW)
