"""``ci/boards`` beside other processes and other users."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "ci" / "boards"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="boards need root"),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "boards"
    yield made
    boards("down", folder=made)


def boards(*words: str, folder: Path, user: str = "") -> int:
    environ = {key: value for key, value in os.environ.items() if key != "SUDO_USER"}
    environ |= {"BOARDWRIGHT_BOARDS_DIR": str(folder)} | ({"SUDO_USER": user} if user else {})
    return subprocess.run((str(SCRIPT), *words), env=environ, check=False).returncode


def test_a_lock_held_while_boards_start_is_free_once_they_are_up(folder: Path) -> None:
    with (folder.parent / "lock").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        fcntl.flock(held, fcntl.LOCK_EX)
        environ = {**os.environ, "BOARDWRIGHT_BOARDS_DIR": str(folder)}
        up = (str(SCRIPT), "up", "tiny")
        subprocess.run(up, env=environ, check=True, pass_fds=[held.fileno()])
    with (folder.parent / "lock").open("w") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_another_user_does_not_end_them(folder: Path) -> None:
    assert boards("up", "tiny", folder=folder) == 0
    assert boards("down", folder=folder, user="nobody") == 1
    assert (folder / "tiny" / "process").exists()
    assert boards("down", folder=folder) == 0
    assert not folder.exists()
