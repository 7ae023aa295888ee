"""A link that dies without a word ends every verb in time, wherever on the way it dies."""

from __future__ import annotations

import io
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from builder.effects.connect import connect
from builder.errors import DeviceLost
from builder.model.device import SshLink
from builder.ports import Transport
from tests.contract.network import Machine, machine
from tests.contract.openssh_server import Sshd, sshd
from tests.contract.ssh_home import Home, make_home

BOUND_S = 20.0
NEVER_S = 100.0


class Endless(io.BytesIO):
    """A file without an end, at some ten megabytes a second."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.003)
        return bytes(size or 0)


class Void(io.BytesIO):
    """A file that keeps nothing, and takes its time."""

    def write(self, piece: object, /) -> int:
        time.sleep(0.02)
        return 0


class Scene:
    """Connections with a verb on each, and the moment when all their links die."""

    def __init__(self, folder: Path) -> None:
        self.home: Home = make_home(folder / "home")
        self._folder = folder
        self._endless = folder / "endless"
        self._endless.touch()
        os.truncate(self._endless, 1 << 40)
        self._verbs = ThreadPoolExecutor(max_workers=32)
        self._ends: dict[str, Future[float]] = {}
        self._ready: list[threading.Event] = []
        self.died = threading.Event()

    def verb(self, destination: str, kind: str) -> None:
        """Connect, begin a verb, and note when it ends."""
        name = f"{kind} over {destination}"
        ready = threading.Event()
        self._ready.append(ready)
        self._ends[name] = self._verbs.submit(self._seconds_to_end, destination, kind, ready)

    def connecting(self, destination: str) -> None:
        """Connect over a link that is dead already."""
        ready = threading.Event()
        ready.set()
        self._ends[f"connecting to {destination}"] = self._verbs.submit(
            self._seconds_to_end, destination, "connecting", ready
        )

    def begin(self) -> None:
        """Wait until every verb is under way."""
        for name, ready in zip(list(self._ends), self._ready, strict=True):
            assert ready.wait(60), self._ends[name].exception(0)
        time.sleep(1.0)

    def ends(self) -> dict[str, float]:
        """Return how many seconds each verb took to end with a lost link."""
        return {name: end.result(NEVER_S) for name, end in self._ends.items()}

    def _seconds_to_end(self, destination: str, kind: str, ready: threading.Event) -> float:
        with pytest.raises(DeviceLost) as loss:
            if kind == "connecting":
                self.died.wait()
            with connect(SshLink(destination=destination), self.home.settings) as board:
                ready.set()
                self._perform(kind, board)
        assert self.died.is_set(), str(loss.value)
        assert loss.value.reason in ("link-lost", "no-route")
        return time.monotonic() - self._death_s

    def _perform(self, kind: str, board: Transport) -> None:
        match kind:
            case "waiting":
                board.run(("sleep", "300"), timeout_s=NEVER_S)
            case "holding":
                board.run(("cat",), stdin=for_ever(), timeout_s=NEVER_S)
            case "pushing":
                board.put(Endless(), str(self._folder / f"pushed-{threading.get_ident()}"))
            case "getting":
                board.get(str(self._endless), Void(), limit_bytes=1 << 50)

    def die(self, *kill: Callable[[], None]) -> None:
        """Let every link die at once."""
        for one in kill:
            one()
        self._death_s = time.monotonic()
        self.died.set()


def for_ever() -> Iterator[bytes]:
    threading.Event().wait(NEVER_S)
    yield b""


@pytest.mark.slow
def test_every_verb_ends_within_twenty_seconds(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with ExitStack() as stack:
        direct = stack.enter_context(machine(0))
        jump = stack.enter_context(machine(1))
        behind = stack.enter_context(machine(2, behind=jump))
        for name, where, lines in (
            ("direct", direct, ()),
            ("jump", jump, ()),
            ("behind", behind, ("ProxyJump jump",)),
        ):
            serve(stack, scene.home, tmp_path, name, where, *lines)
        stopped = serve(stack, scene.home, tmp_path, "stopped", None)
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=8))
        scene.home.add_host("silent", silent.getsockname()[1])

        for destination in ("direct", "behind", "stopped"):
            for kind in ("waiting", "holding", "pushing", "getting"):
                scene.verb(destination, kind)
        scene.begin()
        for destination in ("direct", "behind", "silent"):
            scene.connecting(destination)
        scene.die(direct.cut, behind.cut, lambda: stop(stopped))
        ends = scene.ends()
    print({name: round(seconds, 1) for name, seconds in ends.items()})
    assert max(ends.values()) <= BOUND_S, ends


def serve(
    stack: ExitStack, home: Home, folder: Path, name: str, where: Machine | None, *lines: str
) -> Sshd:
    """Start a server on a machine, known and trusted under ``name``."""
    address = where.address if where else "127.0.0.1"
    prefix = where.prefix if where else ()
    server = stack.enter_context(sshd(folder / name, home, prefix=prefix, address=address))
    home.add_host(name, server.port, *lines, host=address)
    home.trust(server.port, server.key, host=address)
    return server


def stop(server: Sshd) -> None:
    """Stop the server's side of every connection; its kernel goes on answering for it."""
    for pid in server.sessions():
        os.kill(pid, signal.SIGSTOP)
