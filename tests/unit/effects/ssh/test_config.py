"""What ssh_config says of a host, in the order that ssh reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.effects.ssh.settings import Route, SshSettings
from builder.errors import UsageError
from tests.unit.effects.ssh.conftest import write

Routed = Callable[..., Route]


def refuses(reason: str) -> pytest.RaisesExc[UsageError]:
    return pytest.raises(UsageError, check=lambda error: error.reason == reason)


class TestValues:
    def test_a_host_without_a_word_about_it(self, routed: Routed, settings: SshSettings) -> None:
        (hop,) = routed("")
        ssh = settings.home / ".ssh"
        assert (hop.host, hop.port, hop.user) == ("board", 22, "me")
        assert hop.identity_files[0] == ssh / "id_rsa"
        assert hop.known_hosts[0] == ssh / "known_hosts"
        assert hop.known_hosts[-1] == Path("/etc/ssh/ssh_known_hosts2")
        assert (hop.agent, hop.identities_only, hop.proxy_command) == ("/run/agent", False, None)

    def test_a_host_with_everything_said(self, routed: Routed, settings: SshSettings) -> None:
        (hop,) = routed(
            "Host board\n"
            "  HostName 10.0.0.7\n"
            "  User pi\n"
            "  Port 2222\n"
            "  IdentityFile ~/keys/%h-%r\n"
            "  IdentityFile ${LAB}/key\n"
            "  IdentitiesOnly yes\n"
            "  IdentityAgent none\n"
            "  UserKnownHostsFile ~/lab_hosts /srv/hosts\n"
            "  GlobalKnownHostsFile none\n"
            "  HostKeyAlias the-board\n"
            "  HashKnownHosts yes\n"
            "  ConnectTimeout 4\n"
        )
        home = settings.home
        assert (hop.host, hop.user, hop.port) == ("10.0.0.7", "pi", 2222)
        assert hop.identity_files == (home / "keys" / "10.0.0.7-pi", Path("/srv/lab/key"))
        assert hop.known_hosts == (home / "lab_hosts", Path("/srv/hosts"), Path("/dev/null"))
        assert (hop.identities_only, hop.agent, hop.host_key_alias) == (True, None, "the-board")
        assert (hop.hash_known_hosts, hop.connect_timeout_s) == (True, 4.0)

    def test_the_first_value_counts(self, routed: Routed) -> None:
        (hop,) = routed("Host b*\n Port 1\nHost board\n Port 2\n", system="User root\nPort 3")
        assert (hop.port, hop.user) == (1, "root")

    def test_the_destination_comes_before_every_file(self, routed: Routed) -> None:
        (hop,) = routed("User pi\nPort 1\n", "root@board:2")
        assert (hop.user, hop.port) == ("root", 2)

    @pytest.mark.parametrize(
        "config",
        [
            'Host=board\nUser="pi"',
            'host "board"\n\tuser\t= pi  # who',
            "Host other board !nobody\r\nUSER pi\r\n",
            "# Host other\n\nHost bo?rd\n  User 'pi'",
        ],
    )
    def test_lines_are_written_in_many_ways(self, routed: Routed, config: str) -> None:
        assert routed(config)[0].user == "pi"

    @pytest.mark.parametrize("config", ["Host other\nUser pi", "Host board !b*\nUser pi"])
    def test_other_hosts_lines_do_not_count(self, routed: Routed, config: str) -> None:
        assert routed(config)[0].user == "me"

    @pytest.mark.parametrize(
        ("line", "agent"),
        [
            ("IdentityAgent SSH_AUTH_SOCK", "/run/agent"),
            ("IdentityAgent $LAB", "/srv/lab"),
            ("IdentityAgent ${LAB}/agent", "/srv/lab/agent"),
            ("IdentityAgent /run/%r", "/run/me"),
        ],
    )
    def test_an_agent_is_named_in_many_ways(self, routed: Routed, line: str, agent: str) -> None:
        assert routed(line)[0].agent == agent

    @pytest.mark.parametrize(
        "config",
        [
            "Port many",
            "Port 70000",
            "ConnectTimeout soon",
            "User",
            'User "pi',
            "Match user",
            "Match localnetwork 10.0.0.0/8",
            "IdentityFile %z",
            "IdentityFile ${UNSET}",
            "= pi",
        ],
    )
    def test_what_cannot_be_understood_is_refused_at_its_line(
        self, routed: Routed, settings: SshSettings, config: str
    ) -> None:
        with refuses("ssh-config") as refusal:
            routed("\n" + config)
        assert refusal.value.where == f"{settings.user_config}:2"

    def test_a_file_that_others_can_write_is_refused(
        self, routed: Routed, settings: SshSettings
    ) -> None:
        routed("User pi")
        settings.user_config.chmod(0o620)
        with refuses("ssh-config-permissions"):
            routed("User pi")


class TestMatch:
    @pytest.mark.parametrize(
        ("criteria", "found"),
        [
            ("all", True),
            ("host 10.0.0.7", True),
            ("host board", False),
            ("originalhost board", True),
            ("originalhost other,b*", True),
            ("user pi", True),
            ("user root", False),
            ("!user root", True),
            ("localuser me host 10.*", True),
            ("localuser you", False),
            ("user=pi", True),
            ("final", True),
            ("final host 10.*", True),
            ("tagged lab", True),
            ("tagged other", False),
        ],
    )
    def test_a_block_is_about_a_host_as_known_so_far(
        self, routed: Routed, criteria: str, found: bool
    ) -> None:
        config = "Host board\n HostName 10.0.0.7\n User pi\n Tag lab\n"
        (hop,) = routed(f"{config}Match {criteria}\n Port 99\n")
        assert (hop.port == 99) is found

    @pytest.fixture
    def ran(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        commands: list[str] = []

        def run(argv: tuple[str, ...], **_options: object) -> subprocess.CompletedProcess[bytes]:
            commands.append(argv[-1])
            return subprocess.CompletedProcess(argv, int("fail" in argv[-1]))

        monkeypatch.setattr(subprocess, "run", run)
        return commands

    def test_a_command_decides(self, routed: Routed, ran: list[str]) -> None:
        config = 'Match exec "fail %n"\n Port 1\nMatch exec "works %n"\n Port 2\n'
        assert routed(config)[0].port == 2
        assert ran == ["fail board", "works board"]

    def test_a_command_behind_a_criterion_that_fails_never_runs(
        self, routed: Routed, ran: list[str]
    ) -> None:
        routed("Match host other exec evil\n Port 1\nHost other\nMatch user x exec evil\n")
        assert ran == []


class TestInclude:
    def test_takes_files_relative_to_the_users_own(
        self, routed: Routed, settings: SshSettings
    ) -> None:
        folder = settings.user_config.parent
        write(folder / "lab.d" / "a", "Host board\n User pi\n")
        write(folder / "lab.d" / "b", "Host board\n User root\n Port 2\n")
        (hop,) = routed("Include lab.d/*\nHost board\n Port 3\n")
        assert (hop.user, hop.port) == ("pi", 2)

    def test_takes_absolute_files_and_the_users(
        self, routed: Routed, settings: SshSettings
    ) -> None:
        write(settings.home / "one", "User pi")
        write(settings.home / "two", "Port 2")
        (hop,) = routed(f"Include ~/one {settings.home}/two /absent")
        assert (hop.user, hop.port) == ("pi", 2)

    def test_counts_where_its_block_does(self, routed: Routed, settings: SshSettings) -> None:
        write(settings.user_config.parent / "extra", "Port 2\nHost board\n User pi\n")
        (hop,) = routed("Host other\n Include extra\n User no\nHost board\n HostName b\n")
        assert (hop.user, hop.port) == ("me", 22)

    def test_leaves_the_block_it_stands_in_as_it_was(
        self, routed: Routed, settings: SshSettings
    ) -> None:
        write(settings.user_config.parent / "extra", "Host other\n User no\n")
        (hop,) = routed("Host board\n Include extra\n User pi\n")
        assert hop.user == "pi"

    def test_without_an_end_is_refused(self, routed: Routed) -> None:
        with refuses("ssh-config"):
            routed("Include config")

    def test_a_file_that_others_can_write_is_refused(
        self, routed: Routed, settings: SshSettings
    ) -> None:
        extra = settings.user_config.parent / "extra"
        write(extra, "User pi")
        extra.chmod(0o666)
        with refuses("ssh-config-permissions"):
            routed("Include extra")


class TestTheWay:
    def test_a_jump_host_comes_first(self, routed: Routed) -> None:
        jump, board = routed("Host board\n ProxyJump pi@jump:2222\nHost jump\n HostName 1.2.3.4\n")
        assert (jump.alias, jump.host, jump.user, jump.port) == ("jump", "1.2.3.4", "pi", 2222)
        assert board.alias == "board"

    def test_a_chain_is_followed_in_order(self, routed: Routed) -> None:
        config = "Host board\n ProxyJump a,b\nHost a\n ProxyJump z\nHost b\n ProxyJump never\n"
        assert [hop.alias for hop in routed(config)] == ["z", "a", "b", "board"]

    @pytest.mark.parametrize("keyword", ["ProxyJump", "ProxyCommand"])
    def test_none_is_no_host_and_no_command(self, routed: Routed, keyword: str) -> None:
        config = f"Host board\n {keyword} none\nHost *\n ProxyJump jump\n ProxyCommand nc %h\n"
        (hop,) = routed(config)
        assert hop.proxy_command is None

    def test_the_jump_hosts_own_wildcard_does_not_catch_it(self, routed: Routed) -> None:
        config = "Host jump\n ProxyJump none\nHost *\n ProxyJump jump\n"
        assert [hop.alias for hop in routed(config)] == ["jump", "board"]

    def test_a_circle_is_refused(self, routed: Routed) -> None:
        with refuses("ssh-config"):
            routed("Host *\n ProxyJump jump\n")

    def test_a_command_is_expanded_and_kept_whole(self, routed: Routed) -> None:
        command = "nc -X 5 '%h' %p \"%n\" %r 100%% # no comment"
        (hop,) = routed(f"HostName 10.0.0.7\nProxyCommand {command}\n")
        assert hop.proxy_command == "nc -X 5 '10.0.0.7' 22 \"board\" me 100% # no comment"

    def test_whichever_of_command_and_jump_is_read_first_counts(self, routed: Routed) -> None:
        (hop,) = routed("ProxyCommand nc %h %p\nProxyJump jump\n")
        assert hop.proxy_command == "nc board 22"
        assert len(routed("Host board\nProxyJump jump\nProxyCommand nc %h %p\n")) == 2

    def test_a_jump_host_is_no_place_for_a_command(self, routed: Routed) -> None:
        with refuses("bad-destination"):
            routed("ProxyJump $(evil)")
