"""A user's home for tests: a key, known hosts, an ssh_config."""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass, replace
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.effects.ssh.settings import SshSettings

USER = getpass.getuser()


@dataclass(frozen=True, kw_only=True)
class Home:
    """A user's home: a key, a known_hosts file, and an ssh_config in which ``board`` is known."""

    path: Path
    settings: SshSettings
    key: paramiko.PKey

    @property
    def config(self) -> Path:
        return self.settings.user_config

    @property
    def known_hosts(self) -> Path:
        return self.path / ".ssh" / "known_hosts"

    @property
    def identity(self) -> Path:
        return self.path / ".ssh" / "id_ed25519"

    def add_host(self, name: str, port: int, *lines: str, host: str = "127.0.0.1") -> None:
        """Say in ssh_config where ``name`` is; ``lines`` are further keywords."""
        block = [f"Host {name}", f"HostName {host}", f"Port {port}", f"User {USER}", *lines]
        with self.config.open("a", encoding="utf-8") as file:
            file.write("\n  ".join(block) + "\n")

    def trust(self, port: int, key: paramiko.PKey, host: str = "127.0.0.1") -> None:
        """Write a server's key down."""
        line = f"[{host}]:{port} {key.get_name()} {key.get_base64()}\n"
        with self.known_hosts.open("a", encoding="utf-8") as file:
            file.write(line)

    def accepting_new(self) -> SshSettings:
        return replace(self.settings, accept_new_host_key=True)


def make_home(path: Path) -> Home:
    """Make a home with a key of its own, and nobody known."""
    ssh = path / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    identity = ssh / "id_ed25519"
    key = new_key(identity)
    (ssh / "config").touch(mode=0o600)
    settings = SshSettings(
        home=path,
        user=USER,
        machine="laptop.example",
        user_config=ssh / "config",
        system_config=path / "absent",
        variables={},
    )
    return Home(path=path, settings=settings, key=key)


def new_key(path: Path) -> paramiko.PKey:
    """Write a new ed25519 key pair beside ``path``; return it."""
    made = Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(
        made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    key = paramiko.PKey.from_path(path)
    public = f"{key.get_name()} {key.get_base64()} test@example\n"
    path.with_name(path.name + ".pub").write_text(public, encoding="utf-8")
    return key


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
