"""What an ``ssh://`` engine's address means to the ssh program."""

from __future__ import annotations

import pytest

from builder.effects.docker_ssh import ssh_command


@pytest.mark.parametrize(
    ("url", "ending"),
    [
        ("ssh://farm", ("--", "farm", "docker system dial-stdio")),
        ("ssh://farm/", ("--", "farm", "docker system dial-stdio")),
        ("ssh://me@farm:22", ("-l", "me", "-p", "22", "--", "farm", "docker system dial-stdio")),
        (
            "ssh://farm/run/my docker.sock",
            ("--", "farm", "docker --host 'unix:///run/my docker.sock' system dial-stdio"),
        ),
    ],
)
def test_the_url_becomes_options_and_one_remote_command(url: str, ending: tuple[str, ...]) -> None:
    assert ssh_command(url) == ("ssh", "-T", "-o", "BatchMode=yes", *ending)


def test_a_host_is_never_taken_for_an_option() -> None:
    assert ssh_command("ssh://-oProxyCommand=reboot")[-3:-1] == ("--", "-oproxycommand=reboot")
