"""A 32-bit Arm target fits the core that it names."""

from __future__ import annotations

import pytest

from builder import matrix
from builder.errors import UsageError
from tests.unit.matrix.test_builtin_targets import TEXTS


def a_board(text: str, *, parent: str = "base-armv7") -> str:
    return f"""
extends: {parent}
name: board
description: A board
libc: {{family: glibc, floor: "2.28"}}
emulator: {{cpu: cortex-a8}}
{text}
"""


@pytest.mark.parametrize(
    ("core", "mattr", "features"),
    [
        ("generic", ("+neon",), ("neon", "vfpv3")),
        ("cortex-a8", ("+neon",), ("neon", "vfpv3")),
        ("cortex-a9", ("+neon",), ("neon", "vfpv3")),
        ("cortex-a5", ("+neon", "+vfp4"), ("neon", "vfpv4")),
        ("cortex-a7", ("+neon", "+vfp4"), ("neon", "vfpv4", "idiva")),
        ("cortex-a15", ("+neon", "+vfp4"), ("neon", "vfpv4", "idiva")),
        ("cortex-a53", ("+neon", "+vfp4"), ("neon", "vfpv4", "idiva")),
    ],
)
@pytest.mark.parametrize("parent", ["base-armv7", "raspberry-pi-armv7"])
def test_features_follow_from_the_core(
    core: str, mattr: tuple[str, ...], features: tuple[str, ...], parent: str
) -> None:
    text = a_board(f"cpu: {{mcpu: {core}}}", parent=parent)
    cpu = matrix.load({**TEXTS, "board.yaml": text}, "board").cpu
    assert (cpu.mattr, cpu.features) == (mattr, features)


def test_features_that_are_given_stay() -> None:
    text = a_board("cpu: {mcpu: cortex-a9, mattr: [], features: [neon]}")
    cpu = matrix.load({**TEXTS, "board.yaml": text}, "board").cpu
    assert (cpu.mattr, cpu.features) == ((), ("neon",))


def test_other_architectures_must_say_what_their_code_needs() -> None:
    text = a_board("arch: aarch64\ncpu: {mcpu: cortex-a53}")
    with pytest.raises(UsageError) as caught:
        matrix.load({**TEXTS, "board.yaml": text}, "board")
    assert caught.value.reason == "missing-key"


@pytest.mark.parametrize(
    ("arch", "remedy"),
    [
        ("armv6", "cores older than armv7 have no NEON and are not supported"),
        ("armv5te", "cores older than armv7 have no NEON and are not supported"),
        ("aarch32", None),
        ("x86_32", None),
        ("arm64", "write aarch64"),
        ("armv8", "write aarch64"),
        ("amd64", "write x86_64"),
        ("aarch46", None),
        ("aarc64", "did you mean 'aarch64'?"),
    ],
)
def test_an_architecture_is_not_taken_for_another(arch: str, remedy: str | None) -> None:
    text = a_board(f"arch: {arch}\ncpu: {{mcpu: cortex-a8}}")
    with pytest.raises(UsageError) as caught:
        matrix.load({**TEXTS, "board.yaml": text}, "board")
    assert (caught.value.reason, caught.value.remedy) == ("unknown-value", remedy)
