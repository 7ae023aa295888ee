"""The keys that an ssh-agent holds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
from paramiko.agent import AgentKey, AgentSSH

_ANSWER_S = 60.0  # a person may have to touch a token, or to confirm


class _Agent(AgentSSH):
    """The agent at the other end of a socket; the library's own class asks the environment."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__()
        self._connect(end)  # type: ignore[attr-defined]


@contextmanager
def agent_keys(path: str | None) -> Iterator[tuple[AgentKey, ...]]:
    """Hold the keys of the agent at ``path``, ready to sign; none where no agent answers."""
    if path is None or not hasattr(socket, "AF_UNIX"):
        yield ()
        return
    with socket.socket(socket.AF_UNIX) as end:
        yield _keys(end, path)


def _keys(end: socket.socket, path: str) -> tuple[AgentKey, ...]:
    try:
        end.settimeout(_ANSWER_S)
        end.connect(path)
        return _Agent(end).get_keys()
    except (OSError, paramiko.SSHException):
        return ()
