from __future__ import annotations

import socket
import threading
from typing import NoReturn

import pytest

from builder.effects.ssh.settings import Hop
from builder.effects.ssh.tcp import connect
from builder.errors import DeviceLost

HOP = Hop(
    alias="pi",
    host="pi.example",
    port=22,
    user="me",
    host_key_alias=None,
    known_hosts=(),
    hash_known_hosts=False,
    identity_files=(),
    identities_only=True,
    agent=None,
    connect_timeout_s=0.05,
    proxy_command=None,
)


def test_a_name_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def wait(*_: object, **__: object) -> list[object]:
        told.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    with pytest.raises(DeviceLost) as caught:
        connect(HOP)
    told.set()
    assert caught.value.reason == "no-route"
    assert "looked up" in caught.value.what


def test_an_unknown_name_is_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(DeviceLost) as caught:
        connect(HOP)
    assert (caught.value.reason, caught.value.why) == ("no-route", "Name or service not known")
