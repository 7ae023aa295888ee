"""The target that is this machine, on machines of every kind."""

from __future__ import annotations

import pytest

from builder.cli.installation import read_matrix
from builder.errors import UsageError
from builder.matrix import load, matching, select, validate
from builder.matrix.native import FILE, NATIVE, native_text
from builder.model.target import Cpu

V2 = "cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} avx avx2 fma bmi1 bmi2 f16c movbe abm"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"
VBMI = "avx512ifma avx512vbmi avx512_vbmi2 avx512_bitalg avx512_vpopcntdq"
ICE_LAKE = f"{V4} avx512_vnni {VBMI} gfni"
ZEN_4 = f"{ICE_LAKE} avx512_bf16"


def cpu(vendor: str, family: int, model: int, flags: str) -> Cpu:
    cpuinfo = {
        "vendor_id": vendor,
        "cpu family": str(family),
        "model": str(model),
        "flags": f"fpu {flags} hypervisor",
    }
    text = native_text(cpuinfo, 6)
    assert text is not None
    texts = {**read_matrix(()), FILE: text}
    assert validate(texts) == ()
    return load(texts, NATIVE).cpu


@pytest.mark.parametrize(
    ("vendor", "family", "model", "flags", "mcpu"),
    [
        ("AuthenticAMD", 0x19, 0x11, ZEN_4, "znver4"),
        ("AuthenticAMD", 0x19, 0x61, ZEN_4, "znver4"),
        ("AuthenticAMD", 0x19, 0x01, V3, "znver3"),
        ("AuthenticAMD", 0x17, 0x31, V3, "znver2"),
        ("AuthenticAMD", 0x1A, 0x02, f"{ZEN_4} avx_vnni", "znver5"),
        ("GenuineIntel", 6, 0x55, V4, "skylake-avx512"),
        ("GenuineIntel", 6, 0x55, f"{V4} avx512_vnni", "cascadelake"),
        ("GenuineIntel", 6, 0x6A, ICE_LAKE, "icelake-server"),
        ("GenuineIntel", 6, 0x3C, V3, "haswell"),
        ("GenuineIntel", 6, 0xFF, V4, "x86-64-v4"),
        ("GenuineIntel", 6, 0x2A, V2, "x86-64-v2"),
        ("SomebodyElse", 1, 1, V3, "x86-64-v3"),
    ],
)
def test_cores_by_the_names_llvm_has(
    vendor: str, family: int, model: int, flags: str, mcpu: str
) -> None:
    made = cpu(vendor, family, model, flags)
    assert (made.mcpu, made.variants, made.cores) == (mcpu, (), 6)
    assert set(made.features) <= set(flags.split())


def test_what_a_hypervisor_took_away_is_not_used() -> None:
    made = cpu("AuthenticAMD", 0x19, 0x11, V3)
    assert made.mcpu == "x86-64-v3"
    assert not any(feature.startswith("avx512") for feature in made.features)


@pytest.mark.parametrize(
    "cpuinfo",
    [
        {},
        {"Features": "fp asimd"},
        {"vendor_id": "GenuineIntel", "cpu family": "6", "model": "60", "flags": "sse2"},
        {"vendor_id": "AuthenticAMD", "cpu family": "²", "model": "-1", "flags": ""},
    ],
)
def test_other_machines_are_none(cpuinfo: dict[str, str]) -> None:
    assert native_text(cpuinfo, 4) is None


def test_where_it_is_not_that_is_said() -> None:
    texts = {file: text for file, text in read_matrix(()).items() if file != FILE}
    with pytest.raises(UsageError) as caught:
        select(texts, [NATIVE])
    assert caught.value.reason == "not-native"


def test_a_glob_never_means_it() -> None:
    texts = {**read_matrix(()), FILE: native_text({"flags": V2}, 1) or ""}
    assert NATIVE not in matching(texts, ["*", "x86_64-*"])
    assert matching(texts, [NATIVE]) == (NATIVE,)
