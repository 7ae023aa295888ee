"""A user whose ssh_config a test writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.effects.ssh.settings import Route, SshSettings

VARIABLES = {"LAB": "/srv/lab", "SSH_AUTH_SOCK": "/run/agent"}


@pytest.fixture
def settings(tmp_path: Path) -> SshSettings:
    ssh = tmp_path / ".ssh"
    ssh.mkdir(mode=0o700)
    return SshSettings(
        home=tmp_path,
        user="me",
        machine="laptop.example",
        user_config=ssh / "config",
        system_config=tmp_path / "etc" / "ssh_config",
        variables=VARIABLES,
    )


@pytest.fixture
def routed(settings: SshSettings) -> Callable[..., Route]:
    """Return the route to a destination under a configuration."""
    from builder.effects.ssh.route import route_to

    def route(config: str, destination: str = "board", *, system: str = "") -> Route:
        write(settings.user_config, config)
        write(settings.system_config, system)
        return route_to(destination, settings)

    return route


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
