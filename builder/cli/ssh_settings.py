"""The user, the machine and the environment that SSH starts from, read once."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from builder.cli.user import user_name
from builder.effects.ssh.settings import SshSettings


def read_ssh_settings(
    variables: Mapping[str, str] | None = None, *, accept_new_host_key: bool = False
) -> SshSettings:
    """Return the settings of this process, or of ``variables`` for its environment."""
    given = os.environ if variables is None else variables
    home = Path(given.get("HOME") or "/")
    return SshSettings(
        home=home,
        user=user_name(),
        machine=socket.gethostname(),
        user_config=Path(given.get("BOARDWRIGHT_SSH_CONFIG") or home / ".ssh" / "config"),
        system_config=Path("/etc/ssh/ssh_config"),
        variables=given,
        accept_new_host_key=accept_new_host_key,
    )
