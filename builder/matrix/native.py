"""The target that is this very machine: its CPU by LLVM's name, from what Linux says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

NATIVE = "x86_64-linux-native"
"""Never meant by a glob: what it is depends on where it is named."""

FILE = f"{NATIVE}.yaml"

_V2 = ("cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3")
_V3 = (*_V2, "avx", "avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
_VNNI = (*_V4, "avx512_vnni")
_ICE_LAKE = (
    *_VNNI,
    "avx512ifma",
    "avx512vbmi",
    "avx512_vbmi2",
    "avx512_bitalg",
    "avx512_vpopcntdq",
    "gfni",
)
_BF16 = (*_ICE_LAKE, "avx512_bf16")
_ALDER_LAKE = (*_V3, "avx_vnni", "gfni")

_LEVELS = (("x86-64-v4", _V4), ("x86-64-v3", _V3), ("x86-64-v2", _V2))

# What of each core's features the code may use: those of vectors, as /proc/cpuinfo spells them.
_FEATURES: dict[str, tuple[str, ...]] = {
    "haswell": _V3,
    "broadwell": _V3,
    "skylake": _V3,
    "skylake-avx512": _V4,
    "cascadelake": _VNNI,
    "cooperlake": (*_VNNI, "avx512_bf16"),
    "icelake-client": _ICE_LAKE,
    "icelake-server": _ICE_LAKE,
    "tigerlake": _ICE_LAKE,
    "rocketlake": _ICE_LAKE,
    "sapphirerapids": (*_BF16, "avx512_fp16", "avx_vnni"),
    "alderlake": _ALDER_LAKE,
    "raptorlake": _ALDER_LAKE,
    "znver1": _V3,
    "znver2": _V3,
    "znver3": _V3,
    "znver4": _BF16,
    "znver5": (*_BF16, "avx_vnni"),
}

# Models of Intel's family 6, as Linux numbers them (arch/x86/include/asm/intel-family.h). Where
# cores differ in features alone the best comes first.
_INTEL: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((0x3C, 0x3F, 0x45, 0x46), ("haswell",)),
    **dict.fromkeys((0x3D, 0x47, 0x4F, 0x56), ("broadwell",)),
    **dict.fromkeys((0x4E, 0x5E, 0x8E, 0x9E, 0xA5, 0xA6), ("skylake",)),
    0x55: ("cooperlake", "cascadelake", "skylake-avx512"),
    **dict.fromkeys((0x7D, 0x7E), ("icelake-client",)),
    **dict.fromkeys((0x6A, 0x6C), ("icelake-server",)),
    **dict.fromkeys((0x8C, 0x8D), ("tigerlake",)),
    0xA7: ("rocketlake",),
    **dict.fromkeys((0x8F, 0xCF), ("sapphirerapids",)),
    **dict.fromkeys((0x97, 0x9A), ("alderlake",)),
    **dict.fromkeys((0xB7, 0xBA, 0xBF), ("raptorlake",)),
}

# AMD's families 17h, 19h and 1Ah by ranges of models, as in LLVM's and Linux's own tables.
_AMD: dict[int, tuple[tuple[range, str], ...]] = {
    0x17: ((range(0x00, 0x30), "znver1"), (range(0x30, 0x100), "znver2")),
    0x19: (
        (range(0x10, 0x20), "znver4"),
        (range(0x60, 0x80), "znver4"),
        (range(0xA0, 0xB0), "znver4"),
        (range(0x00, 0x60), "znver3"),
    ),
    0x1A: ((range(0x00, 0x100), "znver5"),),
}


def native_text(cpuinfo: Mapping[str, str], cores: int) -> str | None:
    """Return the target file of a machine, or None where it is not an x86-64 one with SSE4.2.

    ``cpuinfo`` is what ``/proc/cpuinfo`` says of one core. A core that is not known, or that a
    hypervisor has taken features from, is built for by its level.
    """
    flags = frozenset(cpuinfo.get("flags", "").split())
    chosen = _core(cpuinfo, flags) or _level(flags)
    if chosen is None:
        return None
    mcpu, features = chosen
    lines = (
        "extends: x86_64-linux",
        f"name: {NATIVE}",
        f"description: This machine, kernels for {mcpu} alone",
        f"cpu: {{mcpu: {mcpu}, mattr: [], cores: {min(cores, 256)}, variants: [],",
        f"  features: {json.dumps(features)}}}",
    )
    return "\n".join(lines) + "\n"


def _core(cpuinfo: Mapping[str, str], flags: frozenset[str]) -> tuple[str, tuple[str, ...]] | None:
    family, model = _number(cpuinfo, "cpu family"), _number(cpuinfo, "model")
    match cpuinfo.get("vendor_id"):
        case "GenuineIntel" if family == 6:
            names = _INTEL.get(model, ())
        case "AuthenticAMD":
            names = tuple(name for models, name in _AMD.get(family, ()) if model in models)[:1]
        case _:
            names = ()
    whole = (name for name in names if flags.issuperset(_FEATURES[name]))
    return next(((name, _FEATURES[name]) for name in whole), None)


def _level(flags: frozenset[str]) -> tuple[str, tuple[str, ...]] | None:
    return next((level for level in _LEVELS if flags.issuperset(level[1])), None)


def _number(cpuinfo: Mapping[str, str], name: str) -> int:
    text = cpuinfo.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else -1
