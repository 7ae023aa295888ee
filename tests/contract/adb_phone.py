"""Debian's adbd with an adb server, in a network of their own: see ci/phone."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.effects.adb.server import attached
from builder.effects.adb.settings import AdbSettings, read_adb_settings
from builder.errors import BoardwrightError

PHONE = Path(__file__).parents[2] / "ci" / "phone"
SERIAL = "127.0.0.1:5599"
_UP_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Phone:
    """A running phone, and what its adb server is reached by."""

    process: subprocess.Popen[bytes]
    settings: AdbSettings
    variables: Mapping[str, str]

    def pids(self) -> list[int]:
        """Return the adb server and adbd."""
        listed = subprocess.run(
            ["pgrep", "-g", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(word) for word in listed.stdout.split()]


def require_phone() -> None:
    """Skip where no phone can be had."""
    if os.geteuid() != 0:
        pytest.skip("a phone's network namespace needs root")
    missing = [tool for tool in ("adb", "mmdebstrap", "unshare", "ip") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    if platform.machine() != "x86_64":
        pytest.skip("the phone's userland is for x86-64 machines")
    made = subprocess.run([PHONE, "userland"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"the phone's userland cannot be made: {made.stderr.strip()[-200:]}")


@contextmanager
def phone(folder: Path, *words: str, **variables: str) -> Iterator[Phone]:
    """Run a phone: ``bare``, or ``run`` with an ABI and an API level after it."""
    require_phone()
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(PHONE), words[0], str(folder), *words[1:]]
    process = subprocess.Popen(
        command, env={**os.environ, **variables}, start_new_session=True, stderr=subprocess.PIPE
    )
    found = {"ADB_SERVER_SOCKET": f"localfilesystem:{folder}/adb"}
    settings = read_adb_settings(found, os.environ.get("PATH", os.defpath))
    try:
        _connect(settings, process)
        yield Phone(process=process, settings=settings, variables=found)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def _connect(settings: AdbSettings, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + _UP_S
    while not any(one.state == "device" for one in attached(settings)):
        assert process.poll() is None, "the phone ended"
        assert time.monotonic() < deadline_s, "the phone does not come up"
        with suppress(BoardwrightError, OSError):
            _ask(settings, f"host:connect:{SERIAL}")
        time.sleep(0.1)


def _ask(settings: AdbSettings, request: str) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        assert isinstance(settings.address, str)
        end.connect(settings.address)
        end.sendall(f"{len(request):04x}{request}".encode())
        end.recv(4)
        end.recv(4096)
