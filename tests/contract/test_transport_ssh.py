"""What only a board behind SSH can do to us, on a real OpenSSH server."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from typing_extensions import Buffer

from builder.effects.connect import connect
from builder.effects.ssh.known_hosts import fingerprint
from builder.effects.ssh.settings import SshSettings
from builder.errors import BoardwrightError, DeviceLost, DeviceRefused, HostNotTrusted, UsageError
from builder.model.device import SshLink
from builder.ports import Transport
from tests.contract.openssh_server import Sshd, sshd
from tests.contract.ssh_home import Home, free_port, make_home, new_key
from tests.processes import killed_at_the_end

LARGE = os.urandom(1 << 20)
LOST = (DeviceLost, "link-lost")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture
def server(tmp_path: Path, home: Home) -> Iterator[Sshd]:
    with sshd(tmp_path / "server", home) as running:
        home.add_host("board", running.port)
        yield running


def reach(settings: SshSettings, destination: str = "board") -> bytes:
    """Connect, and return what the board answers."""
    with connect(SshLink(destination=destination), settings) as board:
        return board.run(("echo", "reached")).stdout


@contextmanager
def fails(kind: type[BoardwrightError], reason: str) -> Iterator[pytest.ExceptionInfo[Exception]]:
    with pytest.raises(kind) as failure:
        yield failure
    assert failure.value.reason == reason
    assert "\n" not in str(failure.value)


def attempts(server: Sshd) -> int:
    """Return how often anybody asked the server to be let in."""
    return server.log.read_text().count("userauth-request for user")


class TestHostKeys:
    def test_a_known_host_is_trusted(self, server: Sshd, home: Home) -> None:
        home.trust(server.port, server.key)
        assert reach(home.settings) == b"reached\n"

    def test_an_unknown_host_is_told_nothing(self, server: Sshd, home: Home) -> None:
        with fails(HostNotTrusted, "host-key-unknown") as failure:
            reach(home.settings)
        assert fingerprint(server.key.asbytes()) in str(failure.value)
        assert attempts(server) == 0
        assert not home.known_hosts.exists()

    def test_a_new_host_is_written_down_when_told_to(self, server: Sshd, home: Home) -> None:
        assert reach(home.accepting_new()) == b"reached\n"
        assert reach(home.settings) == b"reached\n"
        assert home.known_hosts.stat().st_mode & 0o777 == 0o600

    def test_a_new_host_comes_after_a_file_without_a_last_newline(
        self, server: Sshd, home: Home
    ) -> None:
        home.known_hosts.write_text("other ssh-ed25519 AAAA", encoding="utf-8")
        reach(home.accepting_new())
        assert len(home.known_hosts.read_text().splitlines()) == 2
        assert reach(home.settings) == b"reached\n"

    def test_a_new_host_may_be_written_hashed(self, tmp_path: Path, home: Home) -> None:
        with sshd(tmp_path / "server", home) as server:
            home.add_host("board", server.port, "HashKnownHosts yes")
            reach(home.accepting_new())
            assert home.known_hosts.read_text().startswith("|1|")
            assert reach(home.settings) == b"reached\n"

    @pytest.mark.parametrize("accept", [False, True])
    def test_a_changed_key_stops_before_authentication(
        self, server: Sshd, home: Home, tmp_path: Path, accept: bool
    ) -> None:
        before = new_key(tmp_path / "before")
        home.trust(server.port, before)
        with fails(HostNotTrusted, "host-key-changed") as failure:
            reach(replace(home.settings, accept_new_host_key=accept))
        for key in (before, server.key):
            assert fingerprint(key.asbytes()) in str(failure.value)
        assert attempts(server) == 0
        assert server.key.get_base64() not in home.known_hosts.read_text()

    @pytest.mark.parametrize("hashed", [False, True])
    @pytest.mark.parametrize("written", ["the-board", "The-Board"])
    def test_a_changed_key_is_one_under_an_alias_of_any_case(
        self, tmp_path: Path, home: Home, written: str, hashed: bool
    ) -> None:
        before = new_key(tmp_path / "before")
        name = paramiko.HostKeys.hash_host(written) if hashed else written
        line = f"{name} {before.get_name()} {before.get_base64()}\n"
        home.known_hosts.write_text(line, encoding="utf-8")
        with sshd(tmp_path / "server", home) as server:
            home.add_host("board", server.port, "HostKeyAlias The-Board")
            with fails(HostNotTrusted, "host-key-changed"):
                reach(home.accepting_new())
        assert home.known_hosts.read_text() == line

    @pytest.mark.parametrize("revoked", ["The-Board", "127.0.0.1", "[127.0.0.1]:{port}", "*"])
    def test_a_revoked_key_is_one_under_any_name(
        self, tmp_path: Path, home: Home, revoked: str
    ) -> None:
        with sshd(tmp_path / "server", home) as server:
            home.add_host("board", server.port, "HostKeyAlias The-Board")
            key = f"{server.key.get_name()} {server.key.get_base64()}\n"
            marked = f"@revoked {revoked.format(port=server.port)} {key}"
            home.known_hosts.write_text(marked + f"the-board {key}", encoding="utf-8")
            with fails(HostNotTrusted, "host-key-revoked"):
                reach(home.accepting_new())

    def test_an_alias_is_not_vouched_for_by_the_address(self, tmp_path: Path, home: Home) -> None:
        with sshd(tmp_path / "server", home) as server:
            home.add_host("board", server.port, "HostKeyAlias The-Board")
            line = f"127.0.0.1 {server.key.get_name()} {server.key.get_base64()}\n"
            home.known_hosts.write_text(line, encoding="utf-8")
            with fails(HostNotTrusted, "host-key-unknown"):
                reach(home.settings)
            assert reach(home.accepting_new()) == b"reached\n"
            assert reach(home.settings) == b"reached\n"
        assert "\nthe-board " in home.known_hosts.read_text()

    def test_the_remedy_for_a_changed_key_works(
        self, server: Sshd, home: Home, tmp_path: Path
    ) -> None:
        home.trust(server.port, new_key(tmp_path / "before"))
        with fails(HostNotTrusted, "host-key-changed") as failure:
            reach(home.settings)
        remedy = failure.value.remedy  # type: ignore[attr-defined]
        command = remedy.partition(": ")[2]
        subprocess.run(command, shell=True, check=True, capture_output=True)
        assert reach(home.accepting_new()) == b"reached\n"

    def test_a_key_of_another_type_is_a_changed_one(self, server: Sshd, home: Home) -> None:
        blob = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB"
        line = f"[127.0.0.1]:{server.port} ecdsa-sha2-nistp256 {blob}\n"
        home.known_hosts.write_text(line, encoding="utf-8")
        with fails(HostNotTrusted, "host-key-changed"):
            reach(home.accepting_new())

    def test_the_type_that_is_known_is_asked_for(self, tmp_path: Path, home: Home) -> None:
        # A server with several keys shows its ed25519 one first unless it is asked for another.
        other = tmp_path / "ecdsa"
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", other], check=True)
        with sshd(tmp_path / "server", home, f"HostKey {other}") as server:
            home.add_host("board", server.port)
            public = other.with_suffix(".pub").read_text()
            home.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public}", encoding="utf-8")
            assert reach(home.settings) == b"reached\n"

    def test_a_revoked_key_is_refused(self, server: Sshd, home: Home) -> None:
        home.trust(server.port, server.key)
        revoked = f"@revoked * {server.key.get_name()} {server.key.get_base64()}\n"
        with home.known_hosts.open("a", encoding="utf-8") as file:
            file.write(revoked)
        with fails(HostNotTrusted, "host-key-revoked"):
            reach(home.settings)
        assert attempts(server) == 0

    def test_a_key_that_cannot_be_written_down_is_not_accepted(
        self, tmp_path: Path, home: Home
    ) -> None:
        with sshd(tmp_path / "server", home) as server:
            home.add_host("board", server.port, "UserKnownHostsFile /proc/nowhere/known_hosts")
            with fails(UsageError, "known-hosts-not-writable"):
                reach(home.accepting_new())
            assert attempts(server) == 0


class TestAuthentication:
    @pytest.fixture(autouse=True)
    def trusting(self, server: Sshd, home: Home) -> None:
        home.trust(server.port, server.key)

    def test_a_key_that_is_not_let_in_is_refused(
        self, server: Sshd, home: Home, tmp_path: Path
    ) -> None:
        (tmp_path / "server" / "authorized_keys").write_text("")
        with fails(DeviceRefused, "authentication-failed") as failure:
            reach(home.settings)
        assert str(home.identity) in str(failure.value)

    def test_says_that_there_was_no_key(self, server: Sshd, home: Home) -> None:
        home.identity.unlink()
        with fails(DeviceRefused, "authentication-failed") as failure:
            reach(home.settings)
        assert failure.value.details["tried"] == []  # type: ignore[attr-defined]

    def test_a_key_with_a_passphrase_is_named(self, server: Sshd, home: Home) -> None:
        lock(home.identity)
        with fails(DeviceRefused, "authentication-failed") as failure:
            reach(home.settings)
        assert str(home.identity) in str(failure.value)

    def test_too_many_keys_are_no_lost_link(self, server: Sshd, home: Home, tmp_path: Path) -> None:
        with home.config.open("a", encoding="utf-8") as file:
            for number in range(8):
                new_key(tmp_path / f"key{number}")
                file.write(f"IdentityFile {tmp_path}/key{number}\n")
        with fails(DeviceRefused, "authentication-failed"):
            reach(home.settings)

    def test_takes_a_key_from_the_agent(self, server: Sshd, home: Home, tmp_path: Path) -> None:
        with agent(tmp_path, home.identity) as variables:
            home.identity.unlink()
            assert reach(replace(home.settings, variables=variables)) == b"reached\n"

    def test_the_agent_opens_a_key_with_a_passphrase(
        self, server: Sshd, home: Home, tmp_path: Path
    ) -> None:
        with agent(tmp_path, home.identity) as variables:
            lock(home.identity)
            assert reach(replace(home.settings, variables=variables)) == b"reached\n"

    def test_identities_only_passes_the_agents_others_over(
        self, server: Sshd, home: Home, tmp_path: Path
    ) -> None:
        with home.config.open("a", encoding="utf-8") as file:
            file.write(f"IdentitiesOnly yes\nIdentityFile {tmp_path}/other\n")
        new_key(tmp_path / "other")
        with agent(tmp_path, home.identity) as variables:
            settings = replace(home.settings, variables=variables)
            with fails(DeviceRefused, "authentication-failed"):
                reach(settings)

    def test_an_agent_that_is_gone_is_no_obstacle(self, server: Sshd, home: Home) -> None:
        variables = {"SSH_AUTH_SOCK": "/nowhere/agent"}
        assert reach(replace(home.settings, variables=variables)) == b"reached\n"


def lock(identity: Path) -> None:
    """Put a passphrase on a key."""
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(identity)]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def agent(folder: Path, *identities: Path) -> Iterator[dict[str, str]]:
    """Run an agent that holds keys; yield the environment that names it."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("there is no ssh-agent: install openssh-client")
    variables = {"SSH_AUTH_SOCK": str(folder / "agent.sock")}
    command = ("ssh-agent", "-D", "-a", variables["SSH_AUTH_SOCK"])
    with killed_at_the_end(subprocess.Popen(command, stdout=subprocess.DEVNULL)):
        while not Path(variables["SSH_AUTH_SOCK"]).exists():
            time.sleep(0.02)
        for identity in identities:
            subprocess.run(
                ["ssh-add", "-q", str(identity)],
                env={**os.environ, **variables},
                check=True,
                capture_output=True,
            )
        yield variables


class TestTheWayThere:
    def test_a_destination_needs_no_configuration(self, server: Sshd, home: Home) -> None:
        home.trust(server.port, server.key)
        destination = f"{home.settings.user}@127.0.0.1:{server.port}"
        assert reach(home.settings, destination) == b"reached\n"

    def test_a_port_without_a_server_refuses(self, home: Home) -> None:
        with fails(DeviceLost, "connection-refused"):
            reach(home.settings, f"127.0.0.1:{free_port()}")

    def test_a_name_that_nobody_knows_has_no_route(self, home: Home) -> None:
        with fails(DeviceLost, "no-route"):
            reach(home.settings, "no-such-host.invalid")

    def test_a_server_that_is_no_ssh_server_is_a_lost_link(self, home: Home) -> None:
        with answering(b"HTTP/1.0 400 Bad Request\r\n\r\n" * 100) as port, fails(*LOST):
            reach(home.settings, f"127.0.0.1:{port}")

    def test_a_server_that_starts_late_is_waited_for(self, tmp_path: Path, home: Home) -> None:
        with sshd(tmp_path / "server", home) as server:
            home.trust(server.port, server.key)
            home.trust(port := free_port(), server.key)
            late = threading.Timer(0.5, forward, (port, server.port))
            late.start()
            assert reach(home.settings, f"127.0.0.1:{port}") == b"reached\n"
            late.join()

    def test_jump_hosts_are_each_checked_and_used(self, tmp_path: Path, home: Home) -> None:
        with (
            sshd(tmp_path / "first", home) as first,
            sshd(tmp_path / "second", home) as second,
            sshd(tmp_path / "last", home) as last,
        ):
            home.add_host("first", first.port)
            home.add_host("second", second.port, "ProxyJump none")
            home.add_host("board", last.port, "ProxyJump first,second")
            home.trust(first.port, first.key)
            home.trust(last.port, last.key)
            with fails(HostNotTrusted, "host-key-unknown") as failure:
                reach(home.settings)
            assert failure.value.where == "second"  # type: ignore[attr-defined]
            assert attempts(last) == attempts(second) == 0
            home.trust(second.port, second.key)
            assert reach(home.settings) == b"reached\n"
            # Each hop hears only from the one before it.
            assert first.log.read_text().count("Accepted publickey") == 2
            assert "direct-tcpip" in second.log.read_text()

    def test_a_jump_host_that_cannot_go_on_says_so(self, server: Sshd, home: Home) -> None:
        home.trust(server.port, server.key)
        home.add_host("behind", free_port(), "ProxyJump board")
        with fails(DeviceLost, "no-route"):
            reach(home.settings, "behind")

    def test_a_proxy_command_is_the_link(self, tmp_path: Path, home: Home) -> None:
        with sshd(tmp_path / "server", home) as server:
            script = tmp_path / "through.py"
            script.write_text(THROUGH, encoding="utf-8")
            home.add_host("board", server.port, f"ProxyCommand {sys.executable} {script} %h %p")
            home.trust(server.port, server.key)
            assert reach(home.settings) == b"reached\n"

    def test_a_proxy_command_that_ends_is_a_lost_link(self, home: Home) -> None:
        home.add_host("board", 22, "ProxyCommand echo no way >&2; exit 1")
        with fails(*LOST):
            reach(home.settings)


THROUGH = """
import os, socket, sys, threading
end = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def out():
    while piece := end.recv(1 << 16):
        os.write(1, piece)
threading.Thread(target=out, daemon=True).start()
while piece := os.read(0, 1 << 16):
    end.sendall(piece)
"""


def forward(port: int, to: int) -> None:
    """Join one connection to ``port`` with ``to``."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        near, _ = listening.accept()
    with near, socket.create_connection(("127.0.0.1", to)) as far:
        other = threading.Thread(target=pass_on, args=(near, far))
        other.start()
        pass_on(far, near)
        other.join()


def pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(1 << 16):
            other.sendall(piece)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Run a server that says one thing to everybody; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    end, _ = listening.accept()
                except OSError:
                    return
                with end:
                    end.sendall(answer)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


class TestAServerThatDies:
    @pytest.fixture
    def board(self, server: Sshd, home: Home) -> Iterator[Transport]:
        home.trust(server.port, server.key)
        with connect(SshLink(destination="board"), home.settings) as connected:
            yield connected

    def test_under_a_command(self, server: Sshd, board: Transport) -> None:
        with fails(*LOST):
            board.run(
                ("sh", "-c", "echo begun; sleep 60"),
                on_stdout=lambda _: server.kill_sessions(),
            )

    def test_under_a_command_without_output(self, server: Sshd, board: Transport) -> None:
        # The library calls it the end of both streams, and a status of -1.
        killer = threading.Timer(1.0, server.kill_sessions)
        killer.start()
        with fails(*LOST):
            board.run(("sleep", "60"))

    def test_under_a_push_that_can_be_resumed(
        self, server: Sshd, home: Home, board: Transport, tmp_path: Path
    ) -> None:
        path = tmp_path / "file"
        with fails(*LOST):
            board.put(
                io.BytesIO(LARGE * 20),
                str(path),
                on_sent=lambda sent: server.kill_sessions() if sent > 3_000_000 else None,
            )
        arrived = path.stat().st_size
        assert path.read_bytes() == (LARGE * 20)[:arrived]
        with connect(SshLink(destination="board"), home.settings) as again:
            again.put(io.BytesIO((LARGE * 20)[arrived:]), str(path), offset=arrived)
        assert path.read_bytes() == LARGE * 20

    def test_under_a_read(self, server: Sshd, board: Transport, tmp_path: Path) -> None:
        class Killing(io.BytesIO):
            def write(self, piece: Buffer, /) -> int:
                server.kill_sessions()
                return super().write(piece)

        path = tmp_path / "file"
        path.write_bytes(LARGE * 20)
        with fails(*LOST):
            board.get(str(path), Killing(), limit_bytes=1 << 30)

    def test_and_every_later_verb_says_so(
        self, server: Sshd, board: Transport, tmp_path: Path
    ) -> None:
        server.kill_sessions()
        with fails(*LOST):
            board.run(("true",))
        with fails(*LOST):
            board.put(io.BytesIO(b"content"), str(tmp_path / "file"))
        with fails(*LOST):
            board.get("/proc/self/stat", io.BytesIO(), limit_bytes=1 << 10)


class TestAnUnrulyServer:
    def test_what_a_shell_says_before_a_file_is_no_part_of_it(
        self, tmp_path: Path, home: Home
    ) -> None:
        chatty = """ForceCommand sh -c 'echo "Welcome!"; eval "$SSH_ORIGINAL_COMMAND"'"""
        with sshd(tmp_path / "server", home, chatty, sftp=False) as server:
            home.add_host("board", server.port)
            home.trust(server.port, server.key)
            with connect(SshLink(destination="board"), home.settings) as board:
                sink = io.BytesIO()
                board.put(io.BytesIO(LARGE), str(tmp_path / "file"))
                assert board.get(str(tmp_path / "file"), sink, limit_bytes=1 << 20) == 1 << 20
                assert sink.getvalue() == LARGE

    def test_a_shell_that_does_something_else_is_found_out(
        self, tmp_path: Path, home: Home
    ) -> None:
        with sshd(tmp_path / "server", home, "ForceCommand echo evil") as server:
            home.add_host("board", server.port)
            home.trust(server.port, server.key)
            with (
                connect(SshLink(destination="board"), home.settings) as board,
                fails(DeviceLost, "garbled-output"),
            ):
                board.get("/etc/hostname", io.BytesIO(), limit_bytes=1 << 20)

    def test_a_server_that_opens_no_session_is_named(self, tmp_path: Path, home: Home) -> None:
        with sshd(tmp_path / "server", home, "MaxSessions 0") as server:
            home.add_host("board", server.port)
            home.trust(server.port, server.key)
            with connect(SshLink(destination="board"), home.settings) as board:
                with fails(DeviceRefused, "no-session"):
                    board.run(("true",))
                with fails(DeviceRefused, "no-session"):
                    board.put(io.BytesIO(b"content"), str(tmp_path / "file"))
