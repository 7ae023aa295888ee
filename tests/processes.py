"""Processes that tests start: none outlives its test, however that ends."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import AnyStr


@contextmanager
def killed_at_the_end(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """Kill ``process`` and wait for its end when the block is left, also by an exception."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    """Return the processes that ``pid`` has started and that have not been waited for."""
    return [int(word) for word in _told(pid, f"task/{pid}/children").split()]


def descendants(pid: int) -> list[int]:
    """Return the children of ``pid`` and theirs, those that began last first."""
    return [deeper for child in children(pid) for deeper in (*descendants(child), child)]


def assert_ends(pid: int) -> None:
    """Wait until a process has ended, as one does that was killed."""
    deadline_s = time.monotonic() + 20
    while _is_alive(pid):
        assert time.monotonic() < deadline_s, f"{pid} still runs"
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    # proc(5): the state follows the program's name, which may hold spaces and parentheses.
    state = _told(pid, "stat").rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"  # nobody may be there to reap it


def _told(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):  # it has ended, perhaps while we read
        return ""
