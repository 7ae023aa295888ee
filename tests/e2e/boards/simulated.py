"""The boards of ``ci/boards`` as tests use them: reached over SSH, broken from outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.effects.connect import connect
from builder.effects.ssh.settings import SshSettings
from builder.model.device import SshLink
from builder.ports import Transport

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "ci" / "boards"
HOME = Path("/home/board")


@dataclass(frozen=True, kw_only=True)
class SimulatedBoard:
    """One board of a set. Paths of the board are as it sees them itself."""

    name: str
    folder: Path

    @property
    def pid(self) -> int:
        """The board's first process."""
        return int((self.folder / self.name / "process").read_text().split()[0])

    @property
    def log(self) -> str:
        """What the board's SSH server has said so far."""
        return (self.folder / self.name / "log").read_text(errors="replace")

    def path(self, path: Path | str) -> Path:
        """Return where a file of the board lies on this machine."""
        return Path(f"/proc/{self.pid}/root{path}")

    def inside(self, *command: str | Path, check: bool = True) -> str:
        """Run a command on the board as root, past SSH; return its output."""
        enter = ("nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root", "--wd")
        done = subprocess.run(
            (*enter, "--", *command), capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode:
            pytest.fail(f"{self.name}: {command}: {done.stderr}")
        return done.stdout

    def processes(self) -> Sequence[str]:
        """Return the command lines of everything that runs on the board."""
        return [line for process, line in command_lines() if _space(process) == _space(self.pid)]

    def cut(self) -> None:
        call("cut", self.name, folder=self.folder)

    def mend(self) -> None:
        call("mend", self.name, folder=self.folder)
        wait_until(self._answers)  # neighbours forget slowly that nobody was there

    def reboot(self) -> None:
        call("reboot", self.name, folder=self.folder)

    def end_sessions(self) -> None:
        """Kill the server's side of every session, and everything that runs in them."""
        self.inside("pkill", "-KILL", "-u", "board", check=False)

    def slow_to(self, bits_per_s: int) -> None:
        """Hold what this machine sends to the board to a rate; 0 lifts that."""
        link = self.link
        subprocess.run(("tc", "qdisc", "del", "dev", link, "root"), capture_output=True)
        if bits_per_s:
            shape = ("tbf", "rate", f"{bits_per_s}", "burst", "64kb", "latency", "50ms")
            subprocess.run(("tc", "qdisc", "add", "dev", link, "root", *shape), check=True)

    @property
    def link(self) -> str:
        """The name of this machine's end of the cable."""
        return f"bw{(self.folder / 'number').read_text().strip()}-{self.name}"

    @contextmanager
    def disk(self, path: Path, size: str) -> Iterator[Path]:
        """Lend the board a disk of its user's at ``path``."""
        self.inside("mkdir", "-p", path)
        options = f"size={size},uid=1000,gid=1000,mode=0755"
        self.inside("mount", "-t", "tmpfs", "-o", options, "small", path)
        try:
            yield path
        finally:
            self.inside("umount", "-l", path)

    @contextmanager
    def server_says(self, *lines: str) -> Iterator[None]:
        """Put lines before all others of sshd's configuration, for new connections."""
        config = self.path("/etc/ssh/sshd_config")
        before = config.read_text()
        try:
            config.write_text("\n".join([*lines, before]))
            self._reload()
            yield
        finally:
            config.write_text(before)
            self._reload()

    def _answers(self) -> bool:
        known = (self.folder / "ssh_config").read_text()
        host = known.partition(f"Host {self.name}\n")[2].split()[1]
        try:
            socket.create_connection((host, 22), timeout=1).close()
        except OSError:
            return False
        return True

    def _reload(self) -> None:
        known = self.log.count("Server listening")
        os.kill(self.pid, 1)
        wait_until(lambda: self.log.count("Server listening") > known)
        time.sleep(0.1)


@dataclass(frozen=True, kw_only=True)
class BoardSet:
    """All boards that one call of ``ci/boards up`` has started, in ``folder``."""

    folder: Path

    def __getitem__(self, name: str) -> SimulatedBoard:
        return SimulatedBoard(name=name, folder=self.folder)

    @property
    def settings(self) -> SshSettings:
        """What SSH goes by to reach them."""
        return SshSettings(
            home=self.folder,
            user="board",
            machine="laptop.example",
            user_config=self.folder / "ssh_config",
            system_config=self.folder / "absent",
            variables={},
        )

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which the command reaches them."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BOARDWRIGHT_SSH_CONFIG": str(self.folder / "ssh_config"),
            "BOARDWRIGHT_DEVICES": str(self.folder / "devices.yaml"),
        }

    @contextmanager
    def connected(self, name: str) -> Iterator[Transport]:
        with connect(SshLink(destination=name), self.settings) as transport:
            yield transport


def call(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``ci/boards`` for the set in ``folder``."""
    return subprocess.run(
        (SCRIPT, *arguments),
        env=os.environ | {"BOARDWRIGHT_BOARDS_DIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def why_none() -> str | None:
    """Return why this machine can have no boards, or None."""
    if os.geteuid() != 0:
        return "boards need root, for namespaces and mounts"
    if shutil.which("apt-get") is None:
        return "boards are made of Debian packages: there is no apt-get"
    tried = subprocess.run(("unshare", "--mount", "--pid", "--net", "--fork", "true"), check=False)
    return None if tried.returncode == 0 else "this machine gives no namespaces"


def wait_until(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait for a condition that another process makes true."""
    deadline_s = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline_s:
            pytest.fail("it did not come true in time")
        time.sleep(0.01)


def processes_of(folder: Path) -> Sequence[str]:
    """Return the command lines of processes that mention ``folder``."""
    return [line for _, line in command_lines() if str(folder) in line]


def command_lines() -> Iterator[tuple[int, str]]:
    """Yield every process of this machine with its command line."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
            yield int(process.name), line


def _space(pid: int) -> str | None:
    """Return the name of the space in which a process is numbered: a board has its own."""
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    return None
