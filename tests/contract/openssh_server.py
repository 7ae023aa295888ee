"""A real sshd on a port of loopback, with keys, a configuration and a log of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from tests.contract.ssh_home import Home, free_port, new_key
from tests.processes import children, descendants, killed_at_the_end

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True, kw_only=True)
class Sshd:
    """A running sshd. Its log, at debug level, says what clients tried."""

    port: int
    key: paramiko.PKey
    log: Path
    process: subprocess.Popen[bytes]

    def sessions(self) -> list[int]:
        """Return the processes of its connections."""
        return children(self.process.pid)

    def kill_sessions(self) -> None:
        """Kill the server's side of every connection, as a crash would."""
        for pid in self.sessions():
            for one in (*descendants(pid), pid):
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)


@contextmanager
def sshd(
    folder: Path,
    home: Home,
    *lines: str,
    sftp: bool = True,
    prefix: tuple[str, ...] = (),
    address: str = "127.0.0.1",
) -> Iterator[Sshd]:
    """Run an OpenSSH server that lets ``home``'s key in; ``lines`` go to its configuration."""
    if SSHD is None:
        pytest.skip("there is no sshd: install openssh-server")
    folder.mkdir(parents=True, exist_ok=True)
    key = new_key(folder / "host_key")
    (folder / "authorized_keys").write_bytes(home.identity.with_suffix(".pub").read_bytes())
    port = free_port()
    config = [
        f"Port {port}",
        f"ListenAddress {address}",
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "LogLevel DEBUG1",
        *(("Subsystem sftp internal-sftp",) if sftp else ()),
        *lines,
    ]
    (folder / "sshd_config").write_text("\n".join(config) + "\n", encoding="utf-8")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = folder / "sshd.log"
    command = (*prefix, SSHD, "-D", "-f", str(folder / "sshd_config"), "-E", str(log))
    with killed_at_the_end(subprocess.Popen(command)) as process:
        try:
            _wait_for(lambda: log.exists() and "Server listening" in log.read_text(), process, log)
            yield Sshd(port=port, key=key, log=log, process=process)
        finally:
            for pid in descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _wait_for(true: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while not true():
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text() if log.exists() else ""
            pytest.fail(f"sshd does not start: {words}")
        time.sleep(0.02)
