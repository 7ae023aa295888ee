"""Pushing a file over SSH, beside scp: the same sshd of loopback, by turns."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builder.cli.ssh_settings import read_ssh_settings
from builder.effects.connect import connect
from builder.model.device import SshLink
from builder.ports import Transport

BOUND = 0.95  # of scp's throughput
DISK = Path("/dev/shm")  # the link is measured, not a disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Megabytes (10^6 bytes) a second, each turn."""

    name: str
    turns_mb_s: tuple[float, ...]

    @property
    def median_mb_s(self) -> float:
        return statistics.median(self.turns_mb_s)


def main() -> int:
    """Measure; return 0 when connecting and pushing is no slower than ``BOUND`` of scp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if missing := [tool for tool in ("ssh-keygen", "scp") if not shutil.which(tool)]:
        raise SystemExit(f"install openssh-client: there is no {missing[0]}")
    with tempfile.TemporaryDirectory(dir=DISK if DISK.is_dir() else None) as name:
        paces = measure(Path(name), options.megabytes * 10**6, options.turns)
    ratio = paces[1].median_mb_s / paces[0].median_mb_s
    Console().print(table(paces, ratio))
    if options.json:
        figures = [asdict(pace) for pace in paces]
        options.json.write_text(json.dumps({"ratio": ratio, "paces": figures}, indent=1))
    return 0 if ratio >= BOUND else 1


def measure(work: Path, size_bytes: int, turns: int) -> list[Pace]:
    """Return the pace of scp, of connecting and pushing, of pushing and of reading, by turns."""
    source, target = work / "source", work / "target"
    source.write_bytes(os.urandom(size_bytes))
    with server(work) as port:
        config = ssh_config(work, port)
        with reach(config) as board:
            ways: dict[str, Callable[[], None]] = {
                "scp": lambda: scp(config, source, target),
                "connect and put": lambda: connect_and_push(config, source, target),
                "put": lambda: push(board, source, target),
                "get": lambda: read(board, source, size_bytes),
            }
            rounds = [[timed_s(way) for way in ways.values()] for _ in range(turns + 1)]
    return [
        Pace(name=name, turns_mb_s=tuple(size_bytes / 1e6 / one for one in column))
        for name, column in zip(ways, zip(*rounds[1:], strict=True), strict=True)
    ]


def scp(config: Path, source: Path, target: Path) -> None:
    """Copy with the program, which connects for it."""
    target.unlink(missing_ok=True)
    subprocess.run(["scp", "-q", "-F", config, source, f"board:{target}"], check=True)


def connect_and_push(config: Path, source: Path, target: Path) -> None:
    """Do what scp does."""
    with reach(config) as board:
        push(board, source, target)


def push(board: Transport, source: Path, target: Path) -> None:
    """Copy over a connection that is open."""
    target.unlink(missing_ok=True)
    with source.open("rb") as file:
        board.put(file, str(target))


def read(board: Transport, source: Path, size_bytes: int) -> None:
    """Read the file back into nothing."""
    with Path(os.devnull).open("wb") as sink:
        board.get(str(source), sink, limit_bytes=size_bytes)


def timed_s(way: Callable[[], object]) -> float:
    """Return how long ``way`` takes in seconds."""
    start_s = time.perf_counter()
    way()
    return time.perf_counter() - start_s


def reach(config: Path) -> AbstractContextManager[Transport]:
    """Connect to the server."""
    return connect(SshLink(destination="board"), replace(read_ssh_settings(), user_config=config))


@contextmanager
def server(work: Path) -> Iterator[int]:
    """Run an sshd with keys of its own; yield its port."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        raise SystemExit("install openssh-server: there is no sshd")
    for key in ("host", "identity"):
        subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", work / key], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    options = (
        f"Port={port}",
        "ListenAddress=127.0.0.1",
        f"HostKey={work}/host",
        f"AuthorizedKeysFile={work}/identity.pub",
        "Subsystem=sftp internal-sftp",
        "PidFile=none",
        "StrictModes=no",
    )
    words = [word for option in options for word in ("-o", option)]
    with subprocess.Popen([sshd, "-D", "-f", os.devnull, *words], stderr=subprocess.DEVNULL) as run:
        try:
            yield port
        finally:
            run.kill()


def ssh_config(work: Path, port: int) -> Path:
    """Write a configuration in which the server is ``board``; return its path."""
    public = (work / "host.pub").read_text(encoding="utf-8")
    (work / "known").write_text(f"[127.0.0.1]:{port} {public}", encoding="utf-8")
    config = work / "config"
    config.touch(mode=0o600)
    config.write_text(
        f"Host board\nHostName 127.0.0.1\nPort {port}\nUser {getpass.getuser()}\n"
        f"IdentityFile {work}/identity\nIdentitiesOnly yes\nUserKnownHostsFile {work}/known\n",
        encoding="utf-8",
    )
    return config


def table(paces: list[Pace], ratio: float) -> Table:
    """Return the figures as a table for people."""
    verdict = "holds" if ratio >= BOUND else "MISSED"
    made = Table(title=f"Over loopback: {ratio:.2f} of scp, bound {BOUND:g}: {verdict}")
    for heading in ("way", "median MB/s", "slowest", "fastest"):
        made.add_column(heading, justify="left" if heading == "way" else "right")
    for pace in paces:
        ends = (pace.median_mb_s, min(pace.turns_mb_s), max(pace.turns_mb_s))
        made.add_row(pace.name, *(f"{figure:.0f}" for figure in ends))
    return made


if __name__ == "__main__":
    sys.exit(main())
