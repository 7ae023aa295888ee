"""Boards made of this machine: one of its own tools, and ones with other, or fewer, tools."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import BinaryIO

import pytest

from builder.boards.board import Board
from builder.effects.local_board import LocalBoard
from builder.errors import DeviceLost
from builder.model.device import Completed
from builder.ports import Transport

USERLANDS = ("system", "busybox", "bare", "toybox")
"""The system's; busybox alone; that without sha256sum, flock and hard links; Android's."""

_APPLETS = (
    *("cat", "chmod", "cp", "cut", "date", "df", "dd", "flock", "getconf", "grep", "head", "id"),
    *("ln", "ls", "mkdir", "mv", "printf", "pwd", "rm", "rmdir", "sh", "sha256sum", "sleep"),
    *("sync", "test", "tr", "uname"),
)
_MISSING_ON_BARE = ("sha256sum", "flock", "id", "getconf", "cut")


class Userland:
    """A transport to this machine whose commands find their tools in one folder only."""

    def __init__(self, tools: Path | None, home: Path) -> None:
        self._board = LocalBoard()
        self._env = ("env", "-i", f"PATH={tools}", f"HOME={home}") if tools else ()

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        on_stdout: Callable[[bytes], None] | None = None,
        limit_bytes: int = 1 << 20,
        timeout_s: float = 60.0,
    ) -> Completed:
        return self._board.run(
            (*self._env, *command),
            stdin=stdin,
            on_stdout=on_stdout,
            limit_bytes=limit_bytes,
            timeout_s=timeout_s,
        )

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        self._board.put(source, path, offset=offset, on_sent=on_sent)

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        return self._board.get(path, sink, limit_bytes=limit_bytes)


class Watched:
    """A transport that counts its verbs and the bytes put, and can cut the link."""

    def __init__(self, inner: Transport) -> None:
        self.calls: Counter[str] = Counter()
        self.put_bytes = 0
        self.cut_after_bytes: int | None = None
        self.before_put: Callable[[str], None] = lambda _: None
        self._inner = inner

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] = (),
        on_stdout: Callable[[bytes], None] | None = None,
        limit_bytes: int = 1 << 20,
        timeout_s: float = 60.0,
    ) -> Completed:
        self.calls["run"] += 1
        return self._inner.run(
            command,
            stdin=stdin,
            on_stdout=on_stdout,
            limit_bytes=limit_bytes,
            timeout_s=timeout_s,
        )

    def put(
        self,
        source: BinaryIO,
        path: str,
        *,
        offset: int = 0,
        on_sent: Callable[[int], None] | None = None,
    ) -> None:
        self.calls["put"] += 1
        self.before_put(path)
        before = self.put_bytes

        def sent(done: int) -> None:
            self.put_bytes = before + done
            if self.cut_after_bytes is not None and self.put_bytes >= self.cut_after_bytes:
                raise DeviceLost("cut", reason="link-lost")
            if on_sent is not None:
                on_sent(done)

        self._inner.put(source, path, offset=offset, on_sent=sent)

    def get(self, path: str, sink: BinaryIO, *, limit_bytes: int) -> int:
        self.calls["get"] += 1
        return self._inner.get(path, sink, limit_bytes=limit_bytes)


def make_userland(kind: str, folder: Path) -> Userland:
    """Return the board of ``kind``; its tools and its home lie in ``folder``."""
    home = folder / "home"
    home.mkdir()
    if kind == "system":
        return Userland(None, home)
    tools = folder / "tools"
    tools.mkdir()
    for applet, program in _programs(kind).items():
        (tools / applet).symlink_to(program)
    if kind == "bare":
        _forbid_hard_links(tools)
    return Userland(tools, home)


def recording_sync(folder: Path, log: Path) -> Userland:
    """Return a board whose ``sync`` writes down what it was given, and what was there by then."""
    made = make_userland("busybox", folder)
    tool = folder / "tools" / "sync"
    busybox = tool.readlink()
    tool.unlink()
    tool.write_text(
        "#!/bin/sh\n"
        f'echo "$*|$(ls releases)|$(ls -l current 2>&1)" | tr "\\n" " " >> {log}\n'
        f"echo >> {log}\n"
        f'exec {busybox} sync "$@"\n'
    )
    tool.chmod(0o755)
    return made


def board_on(transport: Transport, root: Path | str) -> Board:
    """Return a board at the end of ``transport`` with foreseeable nonces."""
    numbers = count()
    return Board(
        name="bench",
        transport=transport,
        root=str(root),
        nonce=lambda: f"nonce{next(numbers)}",
        cancel=threading.Event(),
    )


def _programs(kind: str) -> Mapping[str, str]:
    busybox = _installed("busybox", "busybox")
    if kind == "toybox":
        # Android's shell is mksh. Debian leaves out a few of toybox's commands, such as dd.
        toybox = Path(_installed("toybox", "toybox"))
        own = subprocess.run((toybox,), capture_output=True, text=True, check=True).stdout.split()
        found = {name: str(toybox) if name in own else busybox for name in _APPLETS}
        return found | {"sh": _installed("mksh", "mksh")}
    missing = _MISSING_ON_BARE if kind == "bare" else ()
    return {applet: busybox for applet in _APPLETS if applet not in missing}


def _forbid_hard_links(tools: Path) -> None:
    real = (tools / "ln").readlink()
    (tools / "ln").unlink()
    (tools / "ln").write_text(f'#!/bin/sh\n[ "$1" = -s ] || exit 1\nexec {real} ln "$@"\n')
    (tools / "ln").chmod(0o755)


def _installed(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program} (apt-get install {package})")
    return found
