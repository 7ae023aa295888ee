"""What of the user's machine decides how a board is reached, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """The user, the machine and the files that ``ssh`` would read here.

    ``user_config`` and ``system_config`` are ssh_config files, the user's first; either may be
    absent. ``variables`` is the environment: ``SSH_AUTH_SOCK``, and what ``${NAME}`` in a
    configuration stands for. ``accept_new_host_key`` trusts a host that no file knows yet and
    writes its key down; a key that has changed is refused all the same.
    """

    home: Path
    user: str
    machine: str
    user_config: Path
    system_config: Path
    variables: Mapping[str, str]
    accept_new_host_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One SSH server on the way to a board, with everything that ssh_config says of it.

    ``alias`` is the name as the user wrote it, ``host`` what is connected to. Files come in the
    order in which they are tried; a new host key goes to the first of ``known_hosts``.
    ``proxy_command`` replaces the TCP connection of a first hop. ``agent`` is a socket's path.
    """

    alias: str
    host: str
    port: int
    user: str
    host_key_alias: str | None
    known_hosts: tuple[Path, ...]
    hash_known_hosts: bool
    identity_files: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    connect_timeout_s: float
    proxy_command: str | None

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{shown}" + (f":{self.port}" if self.port != 22 else "")


Route = tuple[Hop, ...]
"""The servers on the way, the board last."""
