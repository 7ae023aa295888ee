"""32-bit Arm targets of a user: the core that is named is the core that is built for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.test_build import DIGITS, boardwright, receipt

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not shutil.which("qemu-arm-static"), reason="qemu-user is not installed"),
]


def build(tmp_path: Path, *, mcpu: str, emulated: str) -> dict[str, object]:
    """Build for a board with a core of ``mcpu``; return the receipt."""
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "old-board.yaml").write_text(
        "extends: raspberry-pi-armv7\nname: old-board\ndescription: A board\n"
        f"cpu: {{mcpu: {mcpu}}}\nemulator: {{cpu: {emulated}}}\n"
    )
    boardwright(
        *("build", DIGITS, "--targets", tmp_path / "targets", "--target", "old-board"),
        *("--toolchain", "local", "--verify", "require"),
        cache=tmp_path / "cache",
        cwd=tmp_path,
    )
    return receipt(tmp_path, "digits", "old-board")


def test_an_old_core_runs_what_is_built_for_it(tmp_path: Path) -> None:
    built = build(tmp_path, mcpu="cortex-a8", emulated="cortex-a8")
    assert built["error"] is None
    assert built["verify"]["where"] == "qemu"  # type: ignore[index]


@pytest.mark.parametrize(
    ("mcpu", "emulated", "reason"),
    [
        ("cortex-a7", "cortex-a77", "unknown-emulator-cpu"),
        ("arm1176jzf-s", "cortex-a7", "unknown-mcpu"),
    ],
)
def test_a_core_that_cannot_be_is_named(
    tmp_path: Path, mcpu: str, emulated: str, reason: str
) -> None:
    error = build(tmp_path, mcpu=mcpu, emulated=emulated)["error"]
    assert error["reason"] == reason  # type: ignore[index]
