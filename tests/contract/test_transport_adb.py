"""What is adb's own: the server, the states a device can be in, and a link that dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.effects.adb.server import Attached, attached
from builder.effects.adb.settings import AdbSettings, read_adb_settings
from builder.effects.connect import connect
from builder.errors import BoardwrightError, UsageError
from builder.model.device import AdbLink
from tests.contract.adb_phone import SERIAL, Phone, phone
from tests.contract.ssh_home import make_home

LONG = ("sh", "-c", "echo started; exec sleep 120")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Phone]:
    with phone(tmp_path / "phone", "bare") as board:
        yield board


def refusal(tmp_path: Path, settings: AdbSettings, serial: str = SERIAL) -> BoardwrightError:
    home = make_home(tmp_path / "home")
    with (
        pytest.raises(BoardwrightError) as caught,
        connect(AdbLink(serial=serial), home.settings, settings),
    ):
        pass
    return caught.value


def loss(board: Phone, tmp_path: Path, break_it: object) -> tuple[str, float]:
    """Run a command, break the link under it; return the reason and how long that took."""
    home = make_home(tmp_path / "home")
    broken_s: list[float] = []

    def breaking(_piece: bytes) -> None:
        assert callable(break_it)
        break_it()
        broken_s.append(time.monotonic())

    with connect(AdbLink(serial=SERIAL), home.settings, board.settings) as transport:
        with pytest.raises(BoardwrightError) as caught:
            transport.run(LONG, on_stdout=breaking, timeout_s=100)
        return caught.value.reason, time.monotonic() - broken_s[0]


def test_attached_devices_are_listed(running: Phone) -> None:
    assert attached(running.settings) == (Attached(serial=SERIAL, state="device"),)


def test_an_unknown_serial_is_told_with_what_there_is(running: Phone, tmp_path: Path) -> None:
    error = refusal(tmp_path, running.settings, "R58M123ABC")
    assert (type(error).__name__, error.reason) == ("DeviceLost", "no-device")
    assert SERIAL in (error.why or "")


def test_a_dead_server_ends_a_command(running: Phone, tmp_path: Path) -> None:
    def end() -> None:
        for pid in running.pids():
            os.kill(pid, signal.SIGKILL)

    reason, seconds = loss(running, tmp_path, end)
    assert reason in ("link-lost", "no-adb-server")
    assert seconds < 20


def test_a_link_that_falls_silent_ends_a_command(running: Phone, tmp_path: Path) -> None:
    def cut() -> None:
        net = ("nsenter", "--target", str(running.process.pid), "--net")
        subprocess.run((*net, "ip", "link", "set", "lo", "down"), check=True)

    reason, seconds = loss(running, tmp_path, cut)
    assert reason == "link-lost"
    assert seconds < 20


def test_without_adb_and_without_a_server_the_remedy_is_to_install_it(tmp_path: Path) -> None:
    nowhere = AdbSettings(program=None, address=str(tmp_path / "socket"))
    error = refusal(tmp_path, nowhere)
    assert (type(error).__name__, error.reason) == ("UsageError", "no-adb")
    assert attached(nowhere) == ()


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "adb"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    settings = AdbSettings(program=str(broken), address=str(tmp_path / "socket"))
    assert refusal(tmp_path, settings).reason == "no-adb-server"


@contextmanager
def a_server(folder: Path, answer: bytes) -> Iterator[AdbSettings]:
    """A server that answers every request alike."""
    path = str(folder / "server")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            while True:
                try:
                    end, _ = listening.accept()
                except OSError:
                    return
                with end:
                    if end.recv(4096):
                        end.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield AdbSettings(program=None, address=path)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def listing(*rows: str) -> bytes:
    text = "".join(f"{row}\n" for row in rows).encode()
    return b"OKAY" + f"{len(text):04x}".encode() + text


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (listing("R58M\tunauthorized"), "DeviceRefused", "unauthorized"),
        (listing("R58M\toffline"), "DeviceLost", "device-offline"),
        (listing("R58M\tno permissions"), "DeviceRefused", "unauthorized"),
        (listing(), "DeviceLost", "no-device"),
        (b"FAIL0007go away", "DeviceLost", "link-lost"),
        (b"HTTP/1.1 400", "DeviceLost", "link-lost"),
        (b"OKAYzzzz", "DeviceLost", "link-lost"),
        (b"OK", "DeviceLost", "link-lost"),
        (b"", "DeviceLost", "link-lost"),
    ],
)
def test_states_and_strange_answers(tmp_path: Path, answer: bytes, kind: str, reason: str) -> None:
    with a_server(tmp_path, answer) as settings:
        error = refusal(tmp_path, settings, "R58M")
    assert (type(error).__name__, error.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, ("127.0.0.1", 5037)),
        ({"ANDROID_ADB_SERVER_PORT": "6000"}, ("127.0.0.1", 6000)),
        ({"ANDROID_ADB_SERVER_ADDRESS": "lab"}, ("lab", 5037)),
        ({"ADB_SERVER_SOCKET": "tcp:6001"}, ("127.0.0.1", 6001)),
        ({"ADB_SERVER_SOCKET": "tcp:lab:6001"}, ("lab", 6001)),
        ({"ADB_SERVER_SOCKET": "localfilesystem:/run/adb"}, "/run/adb"),
        ({"ADB_SERVER_SOCKET": "localabstract:adb"}, "\0adb"),
    ],
)
def test_the_server_is_where_adb_would_look_for_it(
    variables: dict[str, str], address: object
) -> None:
    assert read_adb_settings(variables, "/nowhere").address == address


@pytest.mark.parametrize("named", ["vsock:1:2", "tcp:", "tcp:lab:0", "tcp:lab:many"])
def test_an_address_that_is_none_is_refused(named: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_adb_settings({"ADB_SERVER_SOCKET": named}, "/nowhere")
    assert caught.value.reason == "adb-address"
