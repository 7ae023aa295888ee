"""Every transport there is, on this machine, for the one suite that all of them must pass.

A further one is a further entry of ``TRANSPORTS``: a context manager that takes an empty folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from builder.effects.connect import connect
from builder.effects.local_board import LocalBoard
from builder.model.device import AdbLink, SshLink
from builder.ports import Transport
from tests.contract.adb_phone import SERIAL, phone
from tests.contract.openssh_server import sshd
from tests.contract.paramiko_server import paramiko_server
from tests.contract.ssh_home import Home, make_home

BOARD = SshLink(destination="board")


@contextmanager
def local(_folder: Path) -> Iterator[Transport]:
    yield LocalBoard()


@contextmanager
def in_process(folder: Path) -> Iterator[Transport]:
    home = make_home(folder / "home")
    with paramiko_server(folder / "server", home) as (port, key):
        home.add_host("board", port)
        home.trust(port, key)
        with connect(BOARD, home.settings) as board:
            yield board


@contextmanager
def openssh(folder: Path) -> Iterator[Transport]:
    with _openssh(folder, sftp=True) as board:
        yield board


@contextmanager
def openssh_without_sftp(folder: Path) -> Iterator[Transport]:
    """As on boards whose server is dropbear."""
    with _openssh(folder, sftp=False) as board:
        yield board


@contextmanager
def _openssh(folder: Path, *, sftp: bool) -> Iterator[Transport]:
    home: Home = make_home(folder / "home")
    with sshd(folder / "server", home, sftp=sftp) as server:
        home.add_host("board", server.port)
        home.trust(server.port, server.key)
        with connect(BOARD, home.settings) as board:
            yield board


@contextmanager
def adb(folder: Path) -> Iterator[Transport]:
    home = make_home(folder / "home")
    with (
        phone(folder / "phone", "bare") as board,
        connect(AdbLink(serial=SERIAL), home.settings, board.settings) as transport,
    ):
        yield transport


TRANSPORTS: Mapping[str, Callable[[Path], AbstractContextManager[Transport]]] = {
    "local": local,
    "paramiko": in_process,
    "openssh": openssh,
    "openssh-without-sftp": openssh_without_sftp,
    "adb": adb,
}
