"""The demo gets what its bundles for Arm need, or says how."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

EMULATORS = Path(__file__).parents[2] / "ci" / "emulators"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A machine with apt-get, and nothing for Arm; what is installed is noted in a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "env"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    put(folder / "apt-get", f'echo "$@" >> {tmp_path}/installed')
    return folder


def put(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def emulators(programs: Path, *, user: int) -> str:
    put(programs / "id", f"echo {user}")
    done = subprocess.run(
        (str(EMULATORS),),
        env={**os.environ, "PATH": str(programs), "BOARDWRIGHT_SYSROOTS": str(programs)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_root_installs_the_emulator_and_the_c_libraries(programs: Path) -> None:
    emulators(programs, user=0)
    installed = (programs.parent / "installed").read_text()
    for package in ("qemu-user-static", "libc6-arm64-cross", "libc6-armhf-cross"):
        assert package in installed


def test_a_user_is_told_the_one_command(programs: Path) -> None:
    said = emulators(programs, user=1000)
    assert "sudo apt-get install -y --no-install-recommends qemu-user-static" in said
    assert not (programs.parent / "installed").exists()


def test_only_what_is_missing_is_installed(programs: Path) -> None:
    for name in ("qemu-aarch64-static", "qemu-arm-static"):
        put(programs / name, "exit 0")
    (programs / "aarch64-linux-gnu" / "lib").mkdir(parents=True)
    assert "install -y --no-install-recommends libc6-armhf-cross" in emulators(programs, user=1000)
    (programs / "arm-linux-gnueabihf" / "lib").mkdir(parents=True)
    assert emulators(programs, user=0) == ""


def test_a_failing_installation_ends_nothing(programs: Path) -> None:
    put(programs / "apt-get", "exit 100")
    assert "by hand:" in emulators(programs, user=0)
