from __future__ import annotations

from pathlib import Path

import pytest

from builder.effects.machine import cpu_features, find_emulator, survey_machine
from builder.model.target import Emulator


def a_program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/true\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 fma\n\nflags\t\t: other\n", {"fpu", "avx2", "fma"}),
        ("processor\t: 0\nFeatures\t: fp asimd\n", {"fp", "asimd"}),
        ("processor\t: 0\n", set()),
    ],
)
def test_features_are_those_of_the_first_core(
    tmp_path: Path, cpuinfo: str, features: set[str]
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo, encoding="utf-8")
    assert cpu_features(tmp_path / "cpuinfo") == features


def test_a_machine_without_cpuinfo_has_no_known_features(tmp_path: Path) -> None:
    assert cpu_features(tmp_path / "absent") == frozenset()


def test_an_emulator_is_found_in_either_spelling(tmp_path: Path) -> None:
    plain = a_program(tmp_path, "qemu-arm")
    assert find_emulator("qemu-arm", str(tmp_path)) == str(plain)
    static = a_program(tmp_path, "qemu-arm-static")
    assert find_emulator("qemu-arm", str(tmp_path)) == str(static)
    assert find_emulator("qemu-aarch64", str(tmp_path)) is None


def test_the_survey_names_what_is_there(tmp_path: Path) -> None:
    a_program(tmp_path, "qemu-arm-static")
    there = Emulator(qemu="qemu-arm", cpu="cortex-a7", sysroot=str(tmp_path))
    absent = Emulator(qemu="qemu-none", cpu="any", sysroot=str(tmp_path / "none"))
    machine = survey_machine([there, absent], search_path=str(tmp_path))
    assert machine.emulators == {"qemu-arm"}
    assert machine.sysroots == {str(tmp_path)}
    assert machine.cores >= 1
