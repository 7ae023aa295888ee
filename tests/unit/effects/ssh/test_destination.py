"""Destinations, taken apart; and what is never let near a shell."""

from __future__ import annotations

import pytest

from builder.effects.ssh.destination import Destination, parse_destination
from builder.errors import UsageError


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("board", None, "board", None),
        ("pi@board", "pi", "board", None),
        ("pi@board:2222", "pi", "board", 2222),
        ("board.lab.example:22", None, "board.lab.example", 22),
        ("10.0.0.7", None, "10.0.0.7", None),
        ("ssh://pi@board:2222", "pi", "board", 2222),
        ("ssh://board/", None, "board", None),
        ("[fe80::1%eth0]:2222", None, "fe80::1%eth0", 2222),
        ("pi@[::1]", "pi", "::1", None),
        ("fe80::1", None, "fe80::1", None),
        ("pi@fe80::1%eth0", "pi", "fe80::1%eth0", None),
    ],
)
def test_has_three_parts(text: str, user: str | None, host: str, port: int | None) -> None:
    assert parse_destination(text) == Destination(user=user, host=host, port=port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@board",
        "pi@",
        "board:",
        "board:port",
        "board:0",
        "board:65536",
        "a@b@c",
        "-oProxyCommand=evil",
        "board;reboot",
        "$(reboot)",
        "`reboot`",
        "pi|x@board",
        "a board",
        "board\nHost",
        "'board'",
        "<board",
        "\\board",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_destination(text)
    assert refusal.value.reason == "bad-destination"
